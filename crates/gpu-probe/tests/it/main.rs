//! The probe against a library that a real loader opens, on machines of all kinds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use gpu_probe::{Gpu, Options, Probe, Source};
use test_support::fake_nvml::{DRIVER_NOT_LOADED, FakeNvml, Machine, NOT_SUPPORTED, VERSION_MISMATCH};

fn read(machine: &Machine) -> Vec<Gpu> {
    let library = FakeNvml::new(machine).unwrap();
    Probe::nvml(Some(library.path())).read(Instant::now())
}

#[test]
fn one_card_is_told_with_all_its_readings() {
    let total = 24_564 << 20;
    let expected = Gpu {
        index: 0,
        name: "NVIDIA GeForce RTX 4090".into(),
        uuid: Some("GPU-00000000-0000-0000-0000-000000000001".into()),
        memory_total_bytes: Some(total),
        memory_used_bytes: Some(total / 16),
        memory_free_bytes: Some(total / 16 * 15),
        utilization_percent: Some(10.0),
        temperature_c: Some(40.0),
        mig: false,
        driver_version: Some("580.95.05".into()),
        source: Source::Driver,
    };
    assert_eq!(read(&Machine::default()), [expected]);
}

#[test]
fn eight_cards_are_told_apart() {
    let gpus = read(&Machine { gpus: 8, ..Machine::default() });
    assert_eq!(gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    assert_eq!(gpus[7].temperature_c, Some(47.0));
    assert_eq!(gpus[7].utilization_percent, Some(80.0));
    assert_eq!(gpus[7].uuid.as_deref(), Some("GPU-00000000-0000-0000-0000-000000000008"));
}

#[test]
fn a_card_that_fell_off_the_bus_does_not_hide_the_others() {
    let gpus = read(&Machine { gpus: 3, lost: Some(1), ..Machine::default() });
    assert_eq!(gpus.iter().map(|gpu| gpu.temperature_c).collect::<Vec<_>>(), [Some(40.0), Some(42.0)]);
}

#[test]
fn a_temperature_that_cannot_be_read_is_missing_and_nothing_else_is() {
    let gpus = read(&Machine { temperature_code: NOT_SUPPORTED, ..Machine::default() });
    assert_eq!(gpus[0].temperature_c, None);
    assert_eq!(gpus[0].utilization_percent, Some(10.0));
}

#[test]
fn a_library_without_most_of_its_calls_still_names_the_cards() {
    let library = FakeNvml::sparse(&Machine { gpus: 2, ..Machine::default() }).unwrap();
    let gpus = Probe::nvml(Some(library.path())).read(Instant::now());
    assert_eq!(gpus.len(), 2);
    assert_eq!(gpus[1].name, "NVIDIA GeForce RTX 4090");
    let readings = [gpus[1].memory_total_bytes, gpus[1].memory_used_bytes, gpus[1].memory_free_bytes];
    assert_eq!((readings, &gpus[1].driver_version), ([None; 3], &None));
}

#[test]
fn a_card_cut_into_slices_is_listed_as_its_slices() {
    let gpus = read(&Machine { gpus: 2, slices: Some(3), ..Machine::default() });
    assert_eq!(gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert!(gpus.iter().all(|gpu| gpu.mig && gpu.name.ends_with("MIG 1g.5gb")));
    assert_eq!(gpus[0].memory_total_bytes, Some(4_864 << 20));
    assert_eq!((gpus[5].temperature_c, gpus[5].utilization_percent), (Some(41.0), None));
}

#[test]
fn a_card_in_slicing_mode_without_a_slice_is_listed_itself() {
    let gpus = read(&Machine { slices: Some(0), ..Machine::default() });
    assert_eq!(gpus.len(), 1);
    assert!(gpus[0].mig);
    assert_eq!(gpus[0].memory_total_bytes, Some(24_564 << 20));
}

#[test]
fn no_driver_is_an_empty_list_with_a_reason() {
    let probe = Probe::nvml(Some("/nowhere/libnvidia-ml.so.1".into()));
    assert_eq!(probe.read(Instant::now()), []);
    let reason = probe.reason().unwrap();
    assert!(reason.starts_with("no NVIDIA driver answers (/nowhere/libnvidia-ml.so.1: "), "{reason}");
}

#[test]
fn a_driver_that_does_not_start_is_an_empty_list_with_a_reason() {
    let library = FakeNvml::new(&Machine { init_code: VERSION_MISMATCH, ..Machine::default() }).unwrap();
    let probe = Probe::nvml(Some(library.path()));
    assert_eq!(probe.read(Instant::now()), []);
    let reason = probe.reason().unwrap();
    assert!(reason.contains("version mismatch"), "{reason}");
}

#[test]
fn a_driver_that_appears_is_found_after_30_seconds() {
    let library = FakeNvml::new(&Machine { init_code: DRIVER_NOT_LOADED, ..Machine::default() }).unwrap();
    let probe = Probe::nvml(Some(library.path()));
    let start = Instant::now();
    assert_eq!(probe.read(start), []);
    library.set(&Machine::default()).unwrap();
    assert_eq!(probe.read(start + Duration::from_secs(29)), []);
    assert_eq!(probe.read(start + Duration::from_secs(30)).len(), 1);
    assert_eq!(probe.reason(), None);
}

#[test]
fn a_driver_that_dies_empties_the_list_and_is_found_again() {
    let library = FakeNvml::new(&Machine::default()).unwrap();
    let probe = Probe::nvml(Some(library.path()));
    let start = Instant::now();
    assert_eq!(probe.read(start).len(), 1);
    library.set(&Machine { count_code: DRIVER_NOT_LOADED, ..Machine::default() }).unwrap();
    assert_eq!(probe.read(start + Duration::from_secs(5)), []);
    assert!(probe.reason().unwrap().contains("stopped answering"));
    library.set(&Machine { gpus: 2, ..Machine::default() }).unwrap();
    assert_eq!(probe.read(start + Duration::from_secs(34)), []);
    assert_eq!(probe.read(start + Duration::from_secs(35)).len(), 2);
}

#[test]
fn a_stated_size_is_used_only_while_the_driver_names_no_card() {
    let library = FakeNvml::new(&Machine { gpus: 0, ..Machine::default() }).unwrap();
    let probe = Probe::detect(Options { nvml_library: Some(library.path()), fixed_vram_gb: Some(24.0) });
    let start = Instant::now();
    let stated = probe.read(start);
    assert_eq!((stated[0].source, stated[0].memory_total_bytes), (Source::Setting, Some(24 << 30)));
    assert!(probe.reason().unwrap().contains("names no GPU"));
    library.set(&Machine::default()).unwrap();
    assert_eq!(probe.read(start + Duration::from_secs(30))[0].source, Source::Driver);
}

#[test]
fn sizes_that_are_none_state_no_card() {
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Probe::fixed(size).read(Instant::now()), []);
    }
    assert_eq!(Probe::fixed(7.5).read(Instant::now())[0].memory_total_bytes, Some(15 << 29));
    assert_eq!(Probe::absent().read(Instant::now()), []);
}
