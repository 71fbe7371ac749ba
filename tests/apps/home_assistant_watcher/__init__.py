"""Writes every second what Home Assistant knows into states.json of its folder: for home_assistant_peer.py."""
import datetime
import json
import os

from homeassistant.components import camera
from homeassistant.helpers import device_registry
from homeassistant.helpers.event import async_track_time_interval


async def async_setup(hass, _):
    notices = []
    hass.bus.async_listen("call_service", lambda event: event.data["domain"] == "notify" and notices.append(event.data["service_data"]))

    async def picture(entity):
        try:
            return (await camera.async_get_image(hass, entity)).content[:2].hex()
        except Exception:  # noqa: BLE001: there is none yet
            return None

    async def write(_):
        states = {state.entity_id: {"state": state.state, **state.attributes} for state in hass.states.async_all()}
        known = {
            "states": states,
            "devices": [device.name for device in device_registry.async_get(hass).devices.values()],
            "pictures": {entity: await picture(entity) for entity in states if entity.startswith("camera.")},
            "notices": notices,
        }
        path = hass.config.path("states.json")

        def put():
            with open(path + ".part", "w") as file:
                json.dump(known, file, default=str)
            os.replace(path + ".part", path)

        await hass.async_add_executor_job(put)

    async_track_time_interval(hass, write, datetime.timedelta(seconds=1))
    return True
