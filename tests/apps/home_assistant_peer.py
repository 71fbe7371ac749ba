"""detect_mask_video --mqtt beside a real Home Assistant: home_assistant_peer.py DETECT_MASK_VIDEO DRAW_VIDEO

Two cameras must appear by themselves, each a device with all its entities and a picture, be unavailable while the
program or the broker is dead, and come back. The automation that docs/alerts.md prints must notify somebody.
"""
import contextlib
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

from mqtt_broker import Broker, free_port, is_there, wait_until

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = ("door", "hall")
ENTITIES = ("sensor.{}_people", "sensor.{}_with_mask", "sensor.{}_without_mask", "sensor.{}_mask_worn_wrongly", "binary_sensor.{}_somebody_without_mask",
            "binary_sensor.{}_camera", "event.{}_event", "camera.{}_snapshot")  # fmt: skip
PRINTED_SYNTAX_SINCE = (2024, 10)  # "triggers" and "actions"


def automation():
    printed = re.search(r"```yaml\n(alias:.*?)```", (HERE.parents[1] / "docs" / "alerts.md").read_text(), re.S).group(1)
    return "- id: printed\n" + textwrap.indent(printed, "  ")


def write_configuration(folder, broker):
    shutil.copytree(HERE / "home_assistant_watcher", folder / "custom_components" / "watcher")
    (folder / ".storage").mkdir()
    (folder / "configuration.yaml").write_text(f"http:\n  server_host: 127.0.0.1\n  server_port: {free_port()}\ncamera:\nwatcher:\nautomation: !include automations.yaml\n"
                                               "notify:\npersistent_notification:\n")  # fmt: skip
    (folder / "automations.yaml").write_text(automation())
    entry = {"data": {"broker": "127.0.0.1", "port": broker.port}, "disabled_by": None, "domain": "mqtt", "entry_id": "0" * 32, "options": {}, "pref_disable_new_entities": False,
             "pref_disable_polling": False, "source": "user", "title": "broker", "unique_id": None, "version": 1}  # fmt: skip
    (folder / ".storage" / "core.config_entries").write_text(json.dumps({"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}))


@contextlib.contextmanager
def running(command, log):
    with open(log, "a") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


class House:
    def __init__(self, folder):
        self.file = folder / "states.json"

    def known(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {"states": {}, "devices": [], "pictures": {}, "notices": []}

    def entities(self):
        states = self.known()["states"]
        return {entity: states.get(entity, {"state": "missing"})["state"] for name in ENTITIES for source in SOURCES for entity in [name.format("maskwatch_" + source)]}

    def all_there(self):
        return all(state not in ("missing", "unavailable", "unknown") for state in self.entities().values())

    def none_there(self):
        return all(state == "unavailable" for state in self.entities().values())

    def wait(self, holds, what, seconds=60):
        if not wait_until(holds, seconds):
            raise AssertionError(f"not so within {seconds} s: {what}\n{json.dumps(self.known(), indent=1)}")
        print("ok:", what, flush=True)


def check(house, watch, broker):
    with watch() as program:
        house.wait(house.all_there, "two cameras appear, with all their entities")
        house.wait(lambda: {"Maskwatch door", "Maskwatch hall"} <= set(house.known()["devices"]), "each is a device")
        house.wait(lambda: list(house.known()["pictures"].values()) == ["ffd8"] * 2, "each has a picture")
        house.wait(lambda: any(int(state) > 0 for entity, state in house.entities().items() if entity.endswith("_people")), "people are counted")
        house.wait(lambda: house.known()["states"]["event.maskwatch_door_event"]["event_type"] in ("appear", "change", "leave"), "events have their type")
        program.kill()
        house.wait(house.none_there, "the program is killed: unavailable")
    with watch():
        house.wait(house.all_there, "started again: there")
        broker.kill()
        house.wait(house.none_there, "the broker is killed: unavailable")
        broker.start()
        house.wait(house.all_there, "the broker is back: there")
        version = importlib.metadata.version("homeassistant")
        if tuple(map(int, version.split(".")[:2])) < PRINTED_SYNTAX_SINCE:
            print(f"NOT TESTED: the automation, which Home Assistant {version} cannot read (PYTHON names a newer Python)")
        else:
            house.wait(lambda: {"message": "Please wear a mask"} in house.known()["notices"], "the automation of docs/alerts.md notifies")
        print("Home Assistant", version)


def main():
    program, draw_video = sys.argv[1:]
    if not is_there():
        sys.exit("mosquitto and mosquitto_sub are not there (Debian: mosquitto, mosquitto-clients)")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        clip = folder / "drawn.mp4"
        subprocess.run([draw_video, "-o", clip, "--scene", "crowd"], check=True, capture_output=True)
        broker = Broker(name)
        stack.callback(broker.end)
        configuration = folder / "house"
        configuration.mkdir()
        write_configuration(configuration, broker)
        log = folder / "log"
        stack.enter_context(running([sys.executable, "-m", "homeassistant", "-c", configuration], log))

        def watch():
            sources = [option for source in SOURCES for option in ("-s", f"{source}={clip}")]
            return running([program, *sources, "--loop", "--live", "--headless", "--mqtt", f"mqtt://127.0.0.1:{broker.port}/home", "--mqtt-snapshot-every", "2"], log)

        try:
            check(House(configuration), watch, broker)
        except AssertionError:
            print(log.read_text()[-3000:])
            raise


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main()
