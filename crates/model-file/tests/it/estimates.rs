//! Estimates of video memory, worked out by hand.

use model_file::{BytesKnownFrom, Estimate, Precision, WeightPart, Weights, estimate_vram, glance};

use crate::build::{gguf, safetensors};

const GIB: f64 = 1_073_741_824.0;

fn part(path: &str, gib: f64) -> WeightPart<'_> {
    WeightPart { path, bytes: (gib * GIB) as u64, known_from: BytesKnownFrom::FileSize, precision: None }
}

fn gigabytes(parts: &[WeightPart<'_>]) -> Option<f64> {
    estimate_vram(parts).map(|estimate| estimate.vram_gb)
}

#[test]
fn the_model_its_vae_and_the_numbers_in_flight_add_up_and_encoders_do_not() {
    let flux = [
        part("diffusion_models/flux1-dev-fp8.safetensors", 11.0),
        part("text_encoders/t5xxl_fp16.safetensors", 9.0),
        part("text_encoders/clip_l.safetensors", 0.2),
        part("vae/ae.safetensors", 0.3),
    ];
    // 11 + 0.3 + 1.5 + 1.1 = 13.9; the encoders need 9.2 + 1.5 before that.
    let Estimate { vram_gb, known_from, basis } = estimate_vram(&flux).unwrap();
    assert_eq!((vram_gb, known_from), (14.0, BytesKnownFrom::FileSize));
    assert_eq!(
        basis,
        "flux1-dev-fp8.safetensors 11.0 GiB, 8-bit + VAE 0.3 GiB + 2.6 GiB for the numbers in flight; \
         encoders before that 9.2 GiB; from file sizes and names"
    );
}

#[test]
fn large_encoders_decide_for_small_models() {
    let small = [
        part("diffusion_models/wan2.1_t2v_1.3b.safetensors", 2.6),
        part("text_encoders/model-00001-of-00002.safetensors", 5.0),
        part("text_encoders/model-00002-of-00002.safetensors", 5.0),
    ];
    assert_eq!(gigabytes(&small), Some(11.5));
}

#[test]
fn models_of_one_set_take_turns_and_control_nets_run_beside_them() {
    let set = [
        part("diffusion_models/high_noise_fp16.safetensors", 10.0),
        part("diffusion_models/low_noise_fp16.safetensors", 10.0),
        part("controlnet/depth_fp16.safetensors", 2.0),
        part("loras/style.safetensors", 1.0),
    ];
    assert_eq!(gigabytes(&set), Some(14.5));
}

#[test]
fn numbers_of_32_bits_are_halved_as_they_load() {
    assert_eq!(gigabytes(&[part("checkpoints/sd15_fp32.safetensors", 4.0)]), Some(4.0));
    assert_eq!(gigabytes(&[part("checkpoints/sd15_fp16.safetensors", 2.0)]), Some(4.0));
}

#[test]
fn a_set_that_runs_nothing_has_no_estimate() {
    assert_eq!(gigabytes(&[]), None);
    assert_eq!(gigabytes(&[part("loras/style.safetensors", 1.0)]), None);
}

#[test]
fn the_precision_comes_from_the_head_or_from_the_name() {
    let weights = glance(&safetensors::whole(), "a.safetensors").unwrap().weights.unwrap();
    assert_eq!(weights.precision, Some(Precision::Float16));
    let weights = glance(&gguf::whole(), "a.gguf").unwrap().weights.unwrap();
    assert_eq!(weights, Weights { bytes: 288 + 12, precision: Some(Precision::Quantised) });
    for (name, precision) in [
        ("qwen_image_fp8_e4m3fn.safetensors", Some(Precision::Float8)),
        ("t5xxl_fp16.safetensors", Some(Precision::Float16)),
        ("hunyuan_video_vae_bf16.safetensors", Some(Precision::Float16)),
        ("Wan2.2_I2V_14B_Q8_0.gguf", Some(Precision::Quantised)),
        ("model_fp32.safetensors", Some(Precision::Float32)),
        ("sd_xl_base_1.0.safetensors", None),
    ] {
        assert_eq!(Precision::of_file_name(name), precision, "{name}");
    }
}

#[test]
fn the_best_that_is_known_of_a_file_counts_and_the_worst_known_file_names_the_basis() {
    let head = Weights { bytes: 3 << 30, precision: Some(Precision::Float32) };
    let part = |head, file, stated| WeightPart::by_the_best("unet/a_fp8.safetensors", head, file, stated);
    let known = |part: Option<WeightPart<'_>>| part.map(|part| (part.bytes, part.known_from, part.precision));
    let precision = head.precision;
    assert_eq!(known(part(Some(head), Some(2), Some(1))), Some((3 << 30, BytesKnownFrom::Header, precision)));
    assert_eq!(known(part(None, Some(2), Some(1))), Some((2, BytesKnownFrom::FileSize, None)));
    assert_eq!(known(part(None, None, Some(1))), Some((1, BytesKnownFrom::Statement, None)));
    assert_eq!(part(None, None, None), None);
    let basis = |parts: &[Option<WeightPart<'static>>]| {
        estimate_vram(&parts.iter().flatten().cloned().collect::<Vec<_>>()).map(|estimate| estimate.known_from)
    };
    assert_eq!(basis(&[part(Some(head), None, None)]), Some(BytesKnownFrom::Header));
    assert_eq!(basis(&[part(Some(head), None, None), part(None, None, Some(1))]), Some(BytesKnownFrom::Statement));
}

#[test]
fn the_head_of_a_damaged_file_says_nothing_of_its_weights() {
    let mut cut = safetensors::whole();
    cut.pop();
    assert_eq!(glance(&cut, "a.safetensors").unwrap().weights, None);
}
