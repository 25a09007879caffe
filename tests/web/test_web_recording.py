"""Recording on the page, with a network that comes and goes; the microphone is Chromium's fake one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Error, Page, expect

from cut_network import CutNetwork
from web_visitors import PHONE, sign_in

pytestmark = pytest.mark.servers

DATABASE = """
const database = await new Promise((resolve, reject) => {
  const asked = indexedDB.open("haulier.recordings");
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});
const read = (store, query) => new Promise((resolve, reject) => {
  const asked = database.transaction(store).objectStore(store).getAll(query);
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});
"""


def kept(page: Page) -> list[dict]:
    """What the browser keeps of recordings, without their sound."""
    found = page.evaluate(
        f"async () => {{ {DATABASE} const all = await read('recordings'); database.close(); return all; }}"
    )
    assert isinstance(found, list)
    return found


def sound_of(page: Page, recording_id: str) -> bytes:
    """The sound of a recording, as it lies in the browser."""
    script = f"""async (id) => {{ {DATABASE}
        const pieces = await read("pieces", IDBKeyRange.bound([id, 0], [id, Infinity]));
        database.close();
        const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
        return btoa(Array.from(bytes, (one) => String.fromCharCode(one)).join(""));
    }}"""
    return base64.b64decode(page.evaluate(script, recording_id))


def begin(page: Page, name: str) -> None:
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_label("Name").fill(name)
    until(page, lambda: any(one["state"] == "recording" and one["size"] > 0 for one in kept(page)))


def until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait for what is seen in no text on the page."""
    for _ in range(900):
        if is_so():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to that")


def record(page: Page, name: str) -> None:
    begin(page, name)
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()


def row(page: Page, name: str):
    return page.get_by_role("listitem", name=name)


def on_server(server, user: str, name: str) -> list[dict]:
    query = {"folder": "recordings", "name": f"{name}.webm"}
    answer = httpx2.get(f"{server.url}/api/files", params=query, headers=server.headers(user))
    return answer.json()["items"]


def content(server, user: str, file: dict) -> bytes:
    url = f"{server.url}/api/files/{file['id']}/download"
    return httpx2.get(url, headers=server.headers(user)).content


def keep_copies(page: Page) -> None:
    page.get_by_label("Keep a copy here").check()


def work_offline(page: Page) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.context.set_offline(True)


def test_a_recording_arrives_on_the_server_byte_for_byte(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    keep_copies(page)
    record(page, "Morning walk")
    expect(row(page, "Morning walk")).to_contain_text("Sent")
    [one] = kept(page)
    [file] = on_server(server, "ann", "Morning walk")
    sound = sound_of(page, one["id"])
    assert sound.startswith(b"\x1aE\xdf\xa3")
    assert content(server, "ann", file) == sound
    assert file["mime_type"] == "audio/webm"
    assert file["tags"]["mode"] == "recap"


def test_what_the_server_has_leaves_the_device(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    record(page, "Let go")
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    assert kept(page) == []
    assert len(on_server(server, "ann", "Let go")) == 1


def test_recorded_offline_it_outlives_a_reload_and_is_sent_when_the_network_is_back(
    visitors, server
):
    page = visitors.signed_in("ann", "/#/record")
    keep_copies(page)
    work_offline(page)
    page.reload()
    expect(page.get_by_text("You are offline")).to_be_visible()
    record(page, "On the train")
    expect(row(page, "On the train")).to_contain_text("Waits for the network")
    page.reload()
    expect(row(page, "On the train")).to_contain_text("Waits for the network")
    row(page, "On the train").get_by_role("button", name="Play On the train").click()
    page.wait_for_function("() => document.querySelector('audio')?.currentTime > 0.1")
    assert on_server(server, "ann", "On the train") == []
    page.context.set_offline(False)
    expect(row(page, "On the train")).to_contain_text("Sent")
    [one] = kept(page)
    [file] = on_server(server, "ann", "On the train")
    assert content(server, "ann", file) == sound_of(page, one["id"])


@pytest.fixture
def network(server) -> Iterator[CutNetwork]:
    between = CutNetwork(int(server.url.rpartition(":")[2]))
    yield between
    between.close()


def test_a_network_lost_in_mid_sending_is_gone_on_from_there(visitors, server, network):
    page = visitors.signed_in("bob", "/#/record", base_url=network.url)
    keep_copies(page)
    work_offline(page)
    record(page, "Long drive")
    [one] = kept(page)
    grow(page, one["id"], 3 << 20)
    sent = []
    page.on("request", lambda asked: sent.append(asked) if asked.method == "PATCH" else None)
    network.most_bytes = 1 << 20
    page.context.set_offline(False)
    until(page, network.is_broken.is_set)
    expect(row(page, "Long drive")).to_contain_text("Tried again soon")
    network.mend()
    expect(row(page, "Long drive")).to_contain_text("Sent")
    [file] = on_server(server, "bob", "Long drive")
    assert content(server, "bob", file) == sound_of(page, one["id"])
    offsets = [int(asked.headers["upload-offset"]) for asked in sent]
    assert offsets[0] == 0
    assert offsets[-1] > 0


def test_the_service_worker_wakes_the_page_when_the_network_is_back(visitors, server, network):
    page = visitors.open(base_url=network.url)
    # No timer of the page's own tries again.
    page.add_init_script(
        "const later = setTimeout; globalThis.setTimeout = (run, wait_ms, ...more) =>"
        " wait_ms >= 2000 ? 0 : later(run, wait_ms, ...more);"
    )
    page.goto("/#/record")
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Record", level=1)).to_be_visible()
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    devtools = page.context.new_cdp_session(page)
    registrations = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: registrations.extend(told["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    until(page, lambda: any(one["scopeURL"] == f"{network.url}/" for one in registrations))
    [known] = [one for one in registrations if one["scopeURL"] == f"{network.url}/"]
    network.most_bytes = 0
    record(page, "Woken")
    expect(row(page, "Woken")).to_contain_text("Tried again soon")
    network.mend()
    event = {"registrationId": known["registrationId"], "tag": "recordings", "lastChance": False}
    devtools.send("ServiceWorker.dispatchSyncEvent", {"origin": network.url, **event})
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    assert len(on_server(server, "ann", "Woken")) == 1


def test_the_browser_is_asked_to_wait_for_the_network_only_where_there_is_none(visitors, network):
    """It would tell of one that is there at once, and each attempt would follow on the last."""
    page = visitors.open(base_url=network.url)
    page.add_init_script(
        "globalThis.asked = []; SyncManager.prototype.register = async (tag) => asked.push(tag);"
    )
    page.goto("/#/record")
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Record", level=1)).to_be_visible()
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    network.most_bytes = 0
    record(page, "Kept waiting")
    expect(row(page, "Kept waiting")).to_contain_text("Tried again soon")
    assert page.evaluate("asked") == []
    page.context.set_offline(True)
    until(page, lambda: page.evaluate("asked") != [])


def test_a_recording_goes_on_while_one_looks_elsewhere(visitors):
    page = visitors.signed_in("eve", "/#/record")
    begin(page, "Elsewhere")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Files").click()
    expect(page.get_by_role("heading", name="Files", level=1)).to_be_visible()
    page.get_by_role("link", name="Recording", exact=True).click()
    expect(page.get_by_label("Name")).to_have_value("Elsewhere")
    questions = []
    page.on("dialog", lambda asked: (questions.append(asked.type), asked.dismiss()))
    page.evaluate("setTimeout(() => location.reload())")
    until(page, lambda: questions == ["beforeunload"])
    page.get_by_role("button", name="Finish").click()
    expect(row(page, "Elsewhere")).to_contain_text("Not taken")


def test_what_waits_is_renamed_and_deleted(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    work_offline(page)
    for name in ("Draft", "Mistake"):
        record(page, name)
    row(page, "Draft").get_by_role("button", name="More for Draft").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Name").fill("a/b: final?")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(row(page, "a/b: final?")).to_be_visible()
    row(page, "Mistake").get_by_role("button", name="More for Mistake").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row(page, "Mistake")).to_be_visible()
    row(page, "Mistake").get_by_role("button", name="More for Mistake").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "Mistake")).to_have_count(0)
    page.context.set_offline(False)
    until(page, lambda: len(on_server(server, "ann", "a-b- final-")) == 1)
    assert on_server(server, "ann", "Mistake") == []


def test_a_reload_while_recording_loses_no_more_than_the_last_second(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    page.on("dialog", lambda asked: asked.accept())
    begin(page, "Reloaded")
    page.reload()
    expect(row(page, "Reloaded")).to_contain_text("This was cut off after")
    [one] = kept(page)
    sound = sound_of(page, one["id"])
    assert len(sound) == one["size"] > 0
    row(page, "Reloaded").get_by_role("button", name="Keep and send it").click()
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    [file] = on_server(server, "ann", "Reloaded")
    assert content(server, "ann", file) == sound


def test_a_recording_of_a_page_that_crashed_is_offered(visitors):
    page = visitors.signed_in("ann", "/#/record")
    context = page.context
    begin(page, "Crashed")
    with page.expect_event("crash"), pytest.raises(Error):
        page.goto("chrome://crash")
    again = context.new_page()
    again.goto("/")
    again.get_by_role("button", name="Look").click()
    expect(row(again, "Crashed")).to_contain_text("This was cut off after")
    row(again, "Crashed").get_by_role("button", name="Delete it").click()
    again.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(again.get_by_text("Nothing waits here")).to_be_visible()
    assert kept(again) == []


def test_of_two_tabs_one_sends(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    begun = []
    page.context.on("request", lambda asked: begun.append(asked) if is_new_upload(asked) else None)
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    other = page.context.new_page()
    other.goto("/#/record")
    expect(other.get_by_role("heading", name="Record", level=1)).to_be_visible()
    page.context.set_offline(True)
    record(page, "In two tabs")
    expect(row(other, "In two tabs")).to_contain_text("Waits for the network")
    page.context.set_offline(False)
    for tab in (page, other):
        expect(tab.get_by_text("Nothing waits here")).to_be_visible()
    assert len(begun) == 1
    [file] = on_server(server, "ann", "In two tabs")
    assert file["version"] == 1


def test_one_records_before_one_has_signed_in(visitors, server):
    page = visitors.open()
    page.goto("/")
    page.get_by_role("link", name="Record without signing in").click()
    record(page, "Nobody's")
    expect(row(page, "Nobody's")).to_contain_text("Kept here")
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, "ann")
    expect(
        page.get_by_text("1 recording was made here before anybody had signed in")
    ).to_be_visible()
    page.get_by_role("button", name="It is mine").click()
    until(page, lambda: len(on_server(server, "ann", "Nobody's")) == 1)


def test_a_session_that_ends_while_recording_loses_nothing(visitors, server):
    page = visitors.signed_in("root", "/#/record")
    begin(page, "Session over")
    assert httpx2.post(f"{server.url}/auth/logout", headers=server.headers("root")).is_success
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="Sign in again")).to_be_visible()
    assert [one["state"] for one in kept(page)] == ["waiting"]
    sign_in(page, "root")
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    fresh = {"Authorization": f"Bearer {server.run('token', 'create', 'root').strip()}"}
    query = {"folder": "recordings", "name": "Session over.webm"}
    answer = httpx2.get(f"{server.url}/api/files", params=query, headers=fresh)
    assert len(answer.json()["items"]) == 1


def test_each_has_a_queue_of_their_own(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    work_offline(page)
    record(page, "Ann's own")
    page.get_by_role("button", name="ann", exact=True).click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.context.set_offline(False)
    sign_in(page, "bob")
    expect(page.get_by_role("heading", name="Record", level=1)).to_be_visible()
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    assert on_server(server, "bob", "Ann's own") == []
    page.get_by_role("button", name="bob", exact=True).click()
    page.get_by_role("menuitem", name="Sign out").click()
    sign_in(page, "ann")
    until(page, lambda: len(on_server(server, "ann", "Ann's own")) == 1)


def test_a_name_that_is_taken_gets_a_number(visitors, server):
    page = visitors.signed_in("ann", "/#/record")
    record(page, "Twice")
    expect(page.get_by_text("Nothing waits here")).to_be_visible()
    record(page, "Twice")
    until(page, lambda: len(on_server(server, "ann", "Twice (2)")) == 1)
    [first] = on_server(server, "ann", "Twice")
    assert first["version"] == 1


def test_what_the_server_does_not_take_stays_and_says_why(visitors):
    page = visitors.signed_in("eve", "/#/record")
    record(page, "Not allowed")
    expect(row(page, "Not allowed")).to_contain_text("Not taken")
    expect(row(page, "Not allowed").get_by_role("button", name="Try again")).to_be_visible()
    with page.expect_download() as saved:
        row(page, "Not allowed").get_by_role("button", name="More for Not allowed").click()
        page.get_by_role("menuitem", name="Save as a file").click()
    [one] = kept(page)
    assert saved.value.suggested_filename == "Not allowed.webm"
    assert saved.value.path().read_bytes() == sound_of(page, one["id"])


def test_a_microphone_that_is_denied_is_told(visitors):
    page = visitors.open()
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'))"
    )
    page.goto("/#/record?alone=yes")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("may not use the microphone")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()


def test_a_full_device_ends_the_recording_and_loses_nothing(visitors):
    page = visitors.signed_in("eve")
    page.add_init_script("""
        navigator.storage.estimate = async () => ({ quota: 7e6, usage: 6e6 });
        const add = IDBObjectStore.prototype.add;
        IDBObjectStore.prototype.add = function (value, key) {
            if (this.name === "pieces" && key[1] > 0) throw new DOMException("", "QuotaExceededError");
            return add.call(this, value, key);
        };
    """)
    page.goto("/?again#/record")
    expect(page.get_by_role("alert")).to_contain_text("There is room for about 1:23 more")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("There is no room left on this device")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save all of it as a file").click()
    [one] = kept(page)
    beginning, whole = sound_of(page, one["id"]), saved.value.path().read_bytes()
    assert len(whole) > len(beginning) > 0
    assert whole.startswith(beginning)


def test_by_keyboard_alone(visitors):
    page = visitors.signed_in("ann", "/#/record")
    page.get_by_role("button", name="Record", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Recording")).to_be_visible()
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
    expect(page.get_by_role("button", name="Go on")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_role("status").filter(has_text="Recording")).to_be_visible()
    page.get_by_role("button", name="Finish").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [{}, PHONE], ids=["desktop", "phone"])
def test_it_is_accessible(visitors, violations, scheme, width):
    page = visitors.signed_in("ann", "/#/record", bypass_csp=True, color_scheme=scheme, **width)
    assert violations(page) == []
    work_offline(page)
    record(page, "Waiting")
    begin(page, "Under way")
    row(page, "Waiting").get_by_role("button", name="Play Waiting").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def is_new_upload(asked) -> bool:
    return asked.method == "POST" and asked.url.endswith("/tus/")


def grow(page: Page, recording_id: str, size_bytes: int) -> None:
    """Add to a recording what hours of it would."""
    script = f"""async ([id, size]) => {{ {DATABASE}
        const [one] = (await read("recordings")).filter((one) => one.id === id);
        const tx = database.transaction(["recordings", "pieces"], "readwrite");
        const noise = new Uint8Array(size).map((_, n) => (n * 2654435761) >>> 13);
        tx.objectStore("pieces").add(new Blob([noise]), [id, 1e6]);
        tx.objectStore("recordings").put({{ ...one, size: one.size + size }});
        await new Promise((resolve) => (tx.oncomplete = resolve));
        database.close();
    }}"""
    page.evaluate(script, [recording_id, size_bytes])
