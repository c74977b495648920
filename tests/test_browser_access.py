"""The studio for everybody: contrast, names, keys, a phone; and text that means harm."""

import json
import shutil
from pathlib import Path

import pytest
from browsing import (
    HOSTILE,
    at_rest,
    block,
    choose,
    drawn,
    in_agreement,
    no_toast,
    plan_a_song,
    project_of,
    screenshot,
    seek,
    settled,
    shots_on,
    type_into,
    upload,
    wait_for_state,
    write_song,
)

pytestmark = pytest.mark.browser

# Colours as the page paints them. Behind what lies on a picture may be anything from black to white: its own ground has
# to do it.
COLOURS = """
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true}), known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = color;
      pixel.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
      known.set(color, [r, g, b, a / 255]);
    }
    return known.get(color);
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = (color) => {
    const [r, g, b] = color.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  // What lies behind an element, as opaque colours: more than one where a gradient or a picture does.
  const grounds = (node) => {
    if (!node) return [[255, 255, 255, 1]];
    if (node.matches(".mv-frame, .mv-shots")) return [[0, 0, 0, 1], [255, 255, 255, 1]];
    const style = getComputedStyle(node), own = rgba(style.backgroundColor);
    const stops = (style.backgroundImage.match(/rgba?\\([^)]*\\)|color\\([^)]*\\)/g) || []).map(rgba);
    if (own[3] === 1 && !stops.length) return [own];
    const below = grounds(node.parentElement).map((ground) => over(own, ground));
    return stops.length ? below.flatMap((ground) => stops.map((stop) => over(stop, ground))) : below;
  };
"""

# Every visible text whose contrast with what is behind it is below WCAG 2.2 AA: [words, selector, ratio, wanted].
CONTRAST = (
    """() => {"""
    + COLOURS
    + """
  const bad = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = new Set();
  const check = (node, words, color, style) => {
    let faint = 1;
    for (let up = node; up; up = up.parentElement) faint *= Number(getComputedStyle(up).opacity);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const [r, g, b, a] = rgba(color), wanted = large ? 3 : 4.5;
    const worst = Math.min(...grounds(node).map((ground) => ratio(over([r, g, b, a * faint], ground), ground)));
    if (worst < wanted - 0.01) bad.push([words.trim().slice(0, 30), node.tagName + "." + node.className,
      Math.round(worst * 100) / 100, color]);
  };
  const visible = (node) => node.checkVisibility({opacityProperty: true, visibilityProperty: true}) &&
    node.getBoundingClientRect().width > 1 && !node.closest(":disabled, [aria-disabled=true], script, style, noscript");
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || seen.has(node) || !visible(node)) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    check(node, walk.currentNode.data, style.color, style);
  }
  for (const node of document.querySelectorAll("input, textarea, select")) {
    if (!visible(node) || ["checkbox", "radio", "range", "file", "color"].includes(node.type)) continue;
    const style = getComputedStyle(node);
    if (node.value) check(node, node.value, style.color, style);
    else if (node.placeholder) check(node, node.placeholder, getComputedStyle(node, "::placeholder").color, style);
  }
  const t = window.MVStudio?.timeline;
  if (t?.palette && t.element.checkVisibility()) {
    // The words on the canvas: the ruler, and the lyrics on their faint bands.
    const [ground] = grounds(t.element);
    for (const name of ["faint", "ink"])
      if (ratio(rgba(t.palette[name]), ground) < 4.5) bad.push(["canvas", name, ratio(rgba(t.palette[name]), ground)]);
  }
  return bad;
}"""
)

# What is wrong with the ring around the focus, if anything: there is none, it is thinner than two pixels, below 3:1
# against what it lies on (WCAG 2.2, 1.4.11 and 2.4.7), or cut off by a box around it.
RING = (
    """() => {"""
    + COLOURS
    + """
  const node = document.activeElement, edges = ["left", "top", "right", "bottom"];
  if (!node || node === document.body) return null;
  for (let up = node; up; up = up.parentElement) up.getAnimations().forEach((one) => one.finish());
  const style = getComputedStyle(node), wide = parseFloat(style.outlineWidth), gap = parseFloat(style.outlineOffset),
    words = node.getAttribute("aria-label") || node.textContent.trim() || node.id,
    name = `${node.tagName}.${node.className} ${words.slice(0, 40)}`;
  if (style.outlineStyle === "none" || wide < 2) return `${name}: no ring`;
  const behind = [...grounds(node.parentElement), ...(gap > 0 ? [] : grounds(node))];
  const worst = Math.min(...behind.map((ground) => ratio(over(rgba(style.outlineColor), ground), ground)));
  if (worst < 3) return `${name}: ${worst.toFixed(2)}:1`;
  const box = node.getBoundingClientRect(), far = gap + wide / 2;
  for (let up = node.parentElement; up && up !== document.documentElement; up = up.parentElement) {
    const clip = getComputedStyle(up), out = up.getBoundingClientRect();
    if (clip.overflowX === "visible" && clip.overflowY === "visible") continue;
    const cut = edges.filter((edge, k) => (k < 2 ? box[edge] - far < out[edge] - 1 : box[edge] + far > out[edge] + 1));
    if (cut.length) return `${name}: cut off at the ${cut} by ${up.className || up.id}`;
  }
  return null;
}"""
)

# What Tab has to reach.
FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]"
VISIBLE = f"""() => [...document.querySelectorAll({FOCUSABLE!r})].filter((node) => node.tabIndex >= 0 && !node.disabled
  && node.checkVisibility({{visibilityProperty: true}}) && node.getBoundingClientRect().width > 1)"""


def low_contrast(page) -> list:
    at_rest(page)
    return page.evaluate(CONTRAST)


def nameless(page) -> list[str]:
    """Focusable things that a screen reader could not name, as the browser itself tells it."""
    session = page.context.new_cdp_session(page)
    session.send("Accessibility.enable")
    session.send("DOM.getDocument", {"depth": 0})
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        properties = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
        named = node.get("name", {}).get("value", "").strip()
        if node["ignored"] or not properties.get("focusable") or named or node["role"]["value"] == "RootWebArea":
            continue
        described = session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
        found.append(f"{node['role']['value']} {described['nodeName']} {described.get('attributes')}")
    session.detach()
    return found


def by_tab(page, most: int = 160) -> tuple[list[str], list[str]]:
    """What can be seen and used, but not by Tab; and what is wrong with the focus' ring on the way. Of a group of radio
    buttons one is enough: arrows do the rest."""
    page.evaluate("() => { document.activeElement?.blur(); window.reached = new Set(); }")
    rings = []
    for _ in range(most):
        page.keyboard.press("Tab")
        rings.append(page.evaluate(RING))
        known = page.evaluate("reached.has(document.activeElement) || !reached.add(document.activeElement)")
        if known and page.evaluate("document.activeElement !== document.body"):
            break
    missed = page.evaluate(
        f"""() => {{
          const groups = new Set([...reached].filter((n) => n.type === "radio").map((n) => n.name));
          return ({VISIBLE})().filter((n) => !reached.has(n) && !(n.type === "radio" && groups.has(n.name)))
            .map((n) => n.outerHTML.slice(0, 160));
        }}"""
    )
    return missed, [ring for ring in dict.fromkeys(rings) if ring]


def by_tab_in(page, part: str, most: int = 60) -> tuple[list[str], list[str]]:
    """The rings around the focus on its way through a part of the page, from its first field on."""
    page.evaluate(
        "(part) => document.querySelector(part).querySelector('a, button, input, select, textarea').focus()", part
    )
    rings = []
    for _ in range(most):
        page.keyboard.press("Tab")
        if not page.evaluate("(part) => document.activeElement.closest(part) !== null", part):
            break
        rings.append(page.evaluate(RING))
    return [], [ring for ring in dict.fromkeys(rings) if ring]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_named_and_reached(page, home, tmp_path, scheme):
    # 1. the first screen
    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.wait_for_selector("#make")
    page.click("text=Reference image, lyrics, seed and more")
    found = {"first screen": (low_contrast(page), nameless(page))}
    screenshot(page, f"audit-first-{scheme}")
    found["first screen by Tab"] = by_tab(page)

    # 2. the editor, with a shot and without, and its dialogs
    plan_a_song(page, write_song(tmp_path / f"audit {scheme}.wav", 12.0))
    drawn(page)
    found["editor"] = low_contrast(page), nameless(page)
    first = shots_on(page)[0][0]
    block(page, first).click()
    page.get_by_test_id("lock").click()
    settled(page)
    found["locked shot"] = low_contrast(page), nameless(page)
    page.get_by_test_id("lock").click()
    settled(page)
    found["shot"] = low_contrast(page), nameless(page)
    screenshot(page, f"audit-shot-{scheme}")
    found["shot by Tab"] = by_tab_in(page, ".mv-inspector")
    page.evaluate("MVStudio.timeline.select([])")
    found["editor by Tab"] = by_tab(page)
    for name in ("help", "music", "deliver"):
        page.get_by_test_id(name).press("Enter")
        page.wait_for_selector(f"[data-testid={name}-dialog][open]")
        found[name] = low_contrast(page), nameless(page)
        found[f"{name} by Tab"] = by_tab_in(page, f"[data-testid={name}-dialog]")
        # By its own button elsewhere: beside the music's dialog Tab goes on, into lists that open over it.
        page.evaluate("(name) => document.querySelector(`[data-testid=${name}-dialog]`).close()", name)
    page.evaluate("MVStudio.toast('A word')")
    found["toast"] = low_contrast(page), nameless(page)
    page.get_by_test_id("render").press("Enter")
    wait_for_state(page, "queued", "running")
    found["rendering"] = low_contrast(page), nameless(page)
    wait_for_state(page, "done")
    page.wait_for_selector(".mv-shot.taken")
    found["rendered"] = low_contrast(page), nameless(page)
    page.get_by_test_id("deliver").press("Enter")
    page.get_by_test_id("film-link").wait_for()
    found["delivered"] = low_contrast(page), nameless(page)
    screenshot(page, f"audit-deliver-{scheme}")
    faults = {str(fault): where for where, what in found.items() for kind in what for fault in kind}
    assert "\n".join(f"{where}: {fault}" for fault, where in faults.items()) == ""


def test_the_keyboard_does_it_all(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "keys.wav", 16.0))
    drawn(page)
    project, shots = project_of(page, home), in_agreement(page, home)
    timeline = page.get_by_test_id("timeline")
    timeline.focus()
    selected = "MVStudio.timeline.selected"

    # 1. shots are chosen, and heard
    page.keyboard.press("Enter")
    assert page.evaluate(selected) == [shots[0][0]]
    assert page.inner_text(".mv-said").startswith("Shot 1, ")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(f"MVStudio.stage.frameNow === {shots[1][1]}")
    page.keyboard.press("Shift+Enter")
    assert page.evaluate(selected) == [shots[0][0], shots[1][0]]
    page.keyboard.press("Escape")
    assert page.evaluate(selected) == []

    # 2. with none chosen, Tab leads out of the timeline
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== MVStudio.timeline.element")
    timeline.focus()

    # 3. a shot moves a place on, its start a frame and a beat
    page.keyboard.press("Enter")
    page.keyboard.press("Control+ArrowRight")
    settled(page)
    moved = in_agreement(page, home)
    assert [s[0] for s in moved[:3]] == [shots[0][0], shots[2][0], shots[1][0]]
    page.keyboard.press("Control+ArrowLeft")
    settled(page)
    assert in_agreement(page, home) == shots
    page.keyboard.press("Alt+ArrowRight")
    settled(page)
    assert in_agreement(page, home)[1][1] == shots[1][1] + 1
    page.keyboard.press("Control+z")
    settled(page)

    # 4. approved, it is locked, and the next one is looked at
    page.keyboard.press("a")
    settled(page)
    assert project.plan().shots[1].locked
    page.wait_for_function(f"MVStudio.stage.frameNow === {shots[2][1]}")

    # 5. a section starts elsewhere
    sections = project.analysis().sections
    if len(sections) > 1:
        page.get_by_test_id("music").press("Enter")
        start = page.get_by_test_id("section-start-1")
        start.fill(f"{sections[1].start + 0.5:g}")
        start.press("Enter")
        settled(page)
        assert project.analysis().sections[1].start == pytest.approx(sections[1].start + 0.5, abs=0.26)


def test_a_crossfade_plays_as_in_the_film(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "mix.wav", 12.0))
    drawn(page)
    name, start, _ = shots_on(page)[1]
    block(page, name).click()
    page.get_by_test_id("transition").select_option("crossfade")
    settled(page)
    drawn(page)
    transition = project_of(page, home).plan().shots[1].transition
    before, after = transition.in_offset, transition.out_offset
    assert before > 1 and after > 1
    # How much of the other shot of the pair is to be seen, whichever of sketch and take it is.
    share = (
        "(() => { const s = MVStudio.stage, one = [s.over, s.videos[1 - s.front]].find((n) => !n.hidden);"
        " return one ? Number(one.style.opacity) : 0; })()"
    )

    def check() -> None:
        for frame in (start - before - 1, start - before, start - 1, start, start + after - 1, start + after):
            new = min(1, max(0, (frame - start + before + 0.5) / (before + after)))  # mv/assembly.py
            wanted = new if frame < start else 1 - new
            if not -before <= frame - start < after:
                wanted = 0
            page.evaluate(f"MVStudio.stage.seekFrame({frame})")
            page.wait_for_function(
                f"MVStudio.stage.frameNow === {frame} && Math.abs({share} - {wanted}) < 1e-3", timeout=20_000
            )

    check()
    seek(page, start)
    screenshot(page, "crossfade")
    # A take and a sketch, then two takes.
    for number, shot in enumerate((name, shots_on(page)[0][0])):
        block(page, shot).click()
        page.get_by_test_id("render-shot").click()
        page.wait_for_function(f"document.querySelectorAll('.mv-shot.taken').length === {number + 1}", timeout=120_000)
        check()


def test_a_phone_views_plays_and_approves(new_page, home, tmp_path):
    page = new_page(390, 844)
    plan_a_song(page, write_song(tmp_path / "pocket.wav", 9.0))
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_test_id("play").click()
    page.wait_for_function("MVStudio.stage.now > 0.3")
    page.get_by_test_id("play").click()
    for _ in shots_on(page):  # it may have played into a later one
        page.get_by_test_id("before").click()
    page.wait_for_function("MVStudio.stage.frameNow === 0")
    page.get_by_test_id("approve").click()
    settled(page)
    shots = project_of(page, home).plan().shots
    assert shots[0].locked and not shots[1].locked
    page.wait_for_function(f"MVStudio.stage.frameNow === {shots[1].start}")
    for name in ("play", "before", "approve", "after", "undo"):
        box = page.get_by_test_id(name).bounding_box()
        assert box["width"] >= 24 and box["height"] >= 24 and 0 <= box["x"] <= 390 - box["width"], name
    assert not page.get_by_test_id("split").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, "phone")


# ---------------------------------------------------------------- text that means harm

TEXTS = {
    "markup": "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>",
    "template": "${window.hacked=1} {{window.hacked=1}} #{window.hacked=1} `${window.hacked=1}`",
    "right to left": "مرحبا \u202eبالعالم שלום",
    "emoji": "👩🏽‍🚀🏳️‍🌈" * 20,
    "long": "x" * 100_000,
    "control": "a\0b\x1b[31m\u2028\ud7ff",
}


def unharmed(page) -> None:
    """Nothing ran, nothing became an element, nothing is wider than the page."""
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_words_in_every_field_stay_words(page, home, tmp_path):
    from playwright.sync_api import expect

    # 1. the first screen: names of files, theme, lyrics
    named = tmp_path / "<img src=x onerror=window.hacked=1> ${window.hacked=1} مرحبا 🚀.wav"
    upload(page, write_song(named, 9.0))
    page.fill("#theme textarea", HOSTILE)
    page.click("text=Reference image, lyrics, seed and more")
    words = tmp_path / "words.lrc"
    words.write_text(f"[00:01.00]{HOSTILE}\n[00:03.00]{TEXTS['right to left']}\n[00:05.00]{'y' * 3000}\n")
    page.set_input_files("#wishes input[type=file][accept*=lrc]", str(words))
    page.wait_for_selector("text=words.lrc")
    choose(page, "size", "draft")
    choose(page, "model", "animatic")
    page.click("#plan-only")
    page.wait_for_selector(".mv-shot", timeout=180_000)
    wait_for_state(page, "done")
    drawn(page)
    project = project_of(page, home)
    assert project.wishes().theme == HOSTILE and len(project.analysis().lyrics) == 3
    assert page.evaluate("MVStudio.link.state.music.lyrics[0][2]") == HOSTILE
    unharmed(page)

    # 2. every field of the inspector that takes words
    shot = shots_on(page)[0][0]
    block(page, shot).click()
    for name, text in TEXTS.items():
        prompt = page.get_by_test_id("prompt")
        prompt.fill(text)
        prompt.blur()
        settled(page)
        kept = " ".join(text[:1000].split())
        assert project.plan().shots[0].prompt == kept, name
        # The page shows its guess until the next picture after the answer.
        expect(block(page, shot)).to_have_attribute("title", kept)
        unharmed(page)
    screenshot(page, "hostile")

    # 3. the first screen again: the project in its lists
    page.goto(page.url.partition("?")[0])
    page.wait_for_selector(".mv-recent a")
    unharmed(page)
    page.click(".mv-recent a >> nth=0")
    page.wait_for_selector(".mv-shot")
    unharmed(page)
    screenshot(page, "hostile-first")


NUMBERS = {"letters": "abc", "huge": "1e999", "NaN": "NaN", "long": "x" * 100_000, "right to left": "٣٤ مرحبا"}


def test_what_is_no_number_is_said_and_loses_nothing(page, home, tmp_path):
    def refused(field, texts, words: str) -> None:
        """Each is answered by a word, and what the field held is back."""
        before = field.input_value()
        for name, text in texts.items():
            no_toast(page)
            type_into(page, field, text)
            page.wait_for_selector(f".mv-toast:has-text('{words}')")
            assert field.input_value() == before, (name, field)
            settled(page)

    # 1. gradio's own fields of the first screen
    page.click("text=Reference image, lyrics, seed and more")
    refused(
        page.locator("#seed input"), {**NUMBERS, "below": "-2", "part": "1.5"}, "whole number from -1 to 4294967295"
    )
    refused(page.locator("#steps input"), {**NUMBERS, "below": "-1", "above": "1e30"}, "whole number from 0 to 1000")
    refused(page.locator("#pace input[type=number]"), {**NUMBERS, "below": "-1", "above": "9"}, "number from 0.5 to 2")
    type_into(page, page.locator("#seed input"), "77")

    # 2. the inspector's, the keyframes', the sections'
    plan_a_song(page, write_song(tmp_path / "numbers.wav", 32.0))
    project, shot = project_of(page, home), shots_on(page)[1][0]
    assert project.wishes().seed == 77 and project.wishes().steps is None and project.wishes().pace == 1
    block(page, shot).click()
    page.get_by_test_id("make-keyframes").click()
    settled(page)
    before = project.plan()
    refused(page.get_by_test_id("seed"), NUMBERS | {"below": "-1", "above": "1e30"}, "seed: expected")
    refused(page.get_by_test_id("keyframe-0-x"), NUMBERS, "keyframe 1, x: expected a number")
    page.get_by_test_id("music").click()
    starts = [page.get_by_test_id(f"section-start-{k}") for k in range(1, len(project.analysis().sections))]
    for field in starts[:1]:
        refused(field, NUMBERS, "start of section 2: expected a number")
    assert project.plan() == before, "nothing of it reached the plan"
    unharmed(page)


def test_hostile_messages_are_answered_in_words(page, home, studio, tmp_path):
    """Every word of every message of the page, and of the API for scripts."""
    plan_a_song(page, write_song(tmp_path / "messages.wav", 6.0))
    project, shot = project_of(page, home), shots_on(page)[0][0]
    before = project.plan()
    fields = ("size", "move", "transition", "amount", "beat", "seed", "transition_frames", "keyframes", "reference")
    edits = [lambda text, field=field: {"op": "set", "ids": [shot], "fields": {field: text}} for field in fields]
    edits += [lambda text: {"op": text}, lambda text: {"op": "set", "ids": [text], "fields": {"prompt": "a"}}]
    edits += [lambda text: {"op": "set", "ids": [shot], "fields": {text: "a"}}]
    edits += [lambda text, op=op: {"op": op, "id": text, "frame": 5} for op in ("split", "move_boundary", "reorder")]
    edits += [lambda text, op=op: {"op": op, "ids": [text]} for op in ("merge", "delete", "lock", "make_keyframes")]
    edits += [lambda text: {"op": "choose", "id": shot, "take": text}, lambda text: {"op": "aspect", "aspect": text}]
    edits += [
        lambda text: {"op": "look", "source": text, "ids": [shot]},
        lambda text: {"op": "reference", "path": text},
    ]
    edits += [lambda text: {"op": "rename_section", "index": 0, "label": text}]
    edits += [
        lambda text: {"op": "move_section", "index": text, "time": text},
        lambda text: {"op": "tap", "times": [text]},
    ]
    asks = [lambda text: {"ask": text}, lambda text: {"ask": "deliver", "what": text}]
    asks += [lambda text: {"ask": "delete take", "take": text}, lambda text: {"ask": "retake", "id": text}]
    send = """async ([name, number, posts]) => {
      const said = [];
      for (const [what, message] of posts) {
        const answer = await MVStudio.link.post(what, {project: name, number, ...message});
        said.push(...(answer.acks?.length ? answer.acks : [answer]).map((one) => one.error));
      }
      said.forEach((error) => MVStudio.toast(error || ""));
      return said;
    }"""
    for name, text in TEXTS.items():
        posts = [["edit", {"edits": [{"seq": 1, **make(text)} for make in edits]}]]
        posts += [["ask", {"seq": 1, **make(text)}] for make in asks]
        said = page.evaluate(send, [project.name, -1, posts])
        assert len(said) == len(edits) + len(asks)
        for make, error in zip([*edits, *asks], said):
            assert error and len(error) < 2000, (name, make("..."))
        odd = {"project": text, "number": text, "seen": text, "edits": text, "ask": "sync"}
        page.evaluate(send, [text, text, [[what, odd] for what in ("news", "edit", "ask")]])
        unharmed(page)
    assert project.plan() == before

    from gradio_client import Client, handle_file

    client = Client(studio, verbose=False)
    song = handle_file(str(write_song(tmp_path / "script.wav", 3.0)))
    for name, text in TEXTS.items():
        for wishes in ([text], ["a", text], ["a", "16:9", text], ["a", "16:9", "draft", "24", 3, text]):
            try:
                named = client.predict(song, *wishes, api_name="/plan")
            except Exception as error:  # one line of ours, as gradio_client raises it
                assert "Traceback" not in str(error) and len(str(error)) < 2000, (name, wishes)
            else:
                assert wishes == [text], name  # a theme may be any words
                client.predict(named, api_name="/status")
                page.evaluate("project => MVStudio.link.post('ask', {project, seq: 1, ask: 'cancel'})", named)
        for verb in ("status", "render", "download"):
            with pytest.raises(Exception, match="there is no project"):
                client.predict(text, api_name=f"/{verb}")
    unharmed(page)


# ---------------------------------------------------------------- the doors


def test_only_a_page_of_this_studio_may_post(page, studio, home):
    session = page.context.request

    def post(what: str, body: bytes | str, **headers) -> int:
        headers = {"Content-Type": "application/json", **headers}
        return session.post(f"{studio}mv/{what}", data=body, headers=headers).status

    assert post("ping", "{}") == 200
    assert post("edit", "{}", Origin="http://evil.example") == 403
    assert post("edit", "{}", **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert post("edit", "{}", **{"Content-Type": "text/plain"}) == 415
    assert post("edit", "[1]") == post("ask", "{" * 10_000) == 400
    assert post("ask", json.dumps({"ask": "x" * 5_000_000})) == 413
    assert session.get(f"{studio}mv/edit").status in (404, 405)


def test_without_the_password_nothing_is_told_or_done(browser, tmp_path, monkeypatch):
    from mv.ui.blocks import launch

    monkeypatch.setenv("MV_HOME", str(tmp_path / "locked"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "locked" / "uploads"))
    blocks = launch(tmp_path / "locked", auth="me:secret", block=False)
    try:
        context = browser.new_context()
        for what in ("edit", "ask", "news", "ping"):
            assert context.request.post(f"{blocks.local_url}mv/{what}", data={}).status == 401
        context.request.post(f"{blocks.local_url}login", form={"username": "me", "password": "secret"})
        assert context.request.post(f"{blocks.local_url}mv/ping", data={}).status == 200
        context.close()
    finally:
        blocks.close()
        blocks.studio.stop()
        shutil.rmtree(Path(tmp_path / "locked"), ignore_errors=True)
