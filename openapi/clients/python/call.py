"""Calls a live server through the client that was made from the document: call.py http://127.0.0.1:8082 [KEY]"""

import sys

from comfyui_dashboard_client import AuthenticatedClient, Client
from comfyui_dashboard_client.api.health import health
from comfyui_dashboard_client.api.models import list_models, validate_models
from comfyui_dashboard_client.api.presets import list_presets, preset_detail, recommendations
from comfyui_dashboard_client.api.system import system_status
from comfyui_dashboard_client.models import ErrorEnvelope, Health, Job, ModelList, PresetDetail, PresetList
from comfyui_dashboard_client.models import Recommendations, SystemStatus


def taken(answer, kind):
    """The answer, or an end with what the server said."""
    if isinstance(answer, ErrorEnvelope):
        raise SystemExit(f"{answer.error.code}: {answer.error.message}")
    if not isinstance(answer, kind):
        raise SystemExit(f"a {kind.__name__} was expected, not {answer!r}")
    return answer


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8082"
    client = AuthenticatedClient(address, token=sys.argv[2]) if len(sys.argv) > 2 else Client(address)

    well = taken(health.sync(client=client), Health)
    print(f"{well.service} {well.product_version} is {well.status.value}")

    presets = taken(list_presets.sync(client=client, type_="video", per_page=3), PresetList)
    for preset in presets.presets:
        print(f"  {preset.id}: {preset.status.value}, {preset.download_size}, needs {preset.vram_gb} GB")
    detail = taken(preset_detail.sync(client=client, preset_id=presets.presets[0].id), PresetDetail)
    print(f"  {len(detail.files)} files, the first is {detail.files[0].path}")

    status = taken(system_status.sync(client=client), SystemStatus)
    print(f"up {status.uptime} s, ComfyUI {status.services.comfyui.value}")

    found = taken(recommendations.sync(client=client, vram_gb=16.0), Recommendations)
    print(f"{len(found.compatible)} presets fit a card of 16 GB, {len(found.incompatible)} do not")

    models = taken(list_models.sync(client=client), ModelList)
    print(f"{models.total} models, {models.total_size_bytes} bytes")

    job = taken(validate_models.sync(client=client, background=True), Job)
    print(f"job {job.id} is {job.status.value}")

    missing = preset_detail.sync(client=client, preset_id="NO_SUCH_PRESET")
    if not isinstance(missing, ErrorEnvelope) or missing.error.code != "PRESET_NOT_FOUND":
        raise SystemExit("a preset that does not exist is PRESET_NOT_FOUND")
    print("all as the classes say")


if __name__ == "__main__":
    main()
