// The editor: player, inspector, toolbar and timeline put together, with the keys people bring from other programs.
MVStudio.KEYS = [
  ["Space", "play, pause"],
  ["J K L", "back, stop, forward; again: faster"],
  ["← →", "one frame; with Shift one second"],
  ["↑ ↓", "cut before, cut after"],
  ["Home End", "start, end"],
  ["B", "split at the playhead"],
  ["M", "merge the selected shots, or with the next"],
  ["Delete", "delete the selected shots; the neighbour fills"],
  ["Alt ← →", "move the start of the shot by a frame; with Shift by a beat"],
  ["Shift L", "lock, unlock"],
  ["Ctrl C, Ctrl V", "copy the look of a shot, give it to the selected ones"],
  ["Ctrl A, Esc", "select all, none"],
  ["Enter", "select the shot at the playhead; with Shift add it; once more: edit its prompt"],
  ["Tab", "next shot, with Shift the one before, while one is selected"],
  ["Ctrl ← →", "move the shot a place earlier, later"],
  ["A", "approve the shot: lock it and go on to the next"],
  ["S", "snapping on, off; Alt while dragging: off"],
  ["+ −", "zoom; Ctrl and wheel too"],
  ["Ctrl 0", "fit"],
  ["Ctrl Z", "undo; with Shift redo"],
  ["Ctrl Enter", "render what changed, or make the video"],
  ["?", "these keys"],
];

MVStudio.mount = (element, api) => {
  MVStudio.unmount?.();
  const { h, link } = MVStudio;
  link.api = api;
  const stage = (MVStudio.stage = new MVStudio.Stage());
  const timeline = (MVStudio.timeline = new MVStudio.Timeline(stage));
  const inspector = (MVStudio.inspector = new MVStudio.Inspector(timeline, stage));
  const panels = new MVStudio.Panels();
  const queue = new MVStudio.Queue(timeline);
  timeline.onmusic = (index) => panels.openMusic(index);
  const button = (id, words, title, act) =>
    h("button", { id: `mv-${id}`, "data-testid": id, title, onclick: act }, words);
  const act = (MVStudio.actions = MVStudio.actionsOf(stage, timeline, inspector, panels));

  const status = h("div", { className: "mv-status", role: "status", "data-state": "" });
  const facts = h("div", { className: "mv-facts" });
  const tools = h(
    "div",
    { className: "mv-tools", role: "toolbar", "aria-label": "Edit" },
    button("undo", "↶ Undo", "Ctrl+Z", act.undo),
    button("redo", "↷ Redo", "Ctrl+Shift+Z", act.redo),
    button("before", "‹ Shot", "Cut before (↑)", () => act.cut(-1)),
    button("approve", "Approve", "Lock this shot and go on to the next (A)", act.approve),
    button("after", "Shot ›", "Cut after (↓)", () => act.cut(1)),
    button("split", "Split", "Split at the playhead (B)", act.split),
    button("merge", "Merge", "Merge with the next (M)", act.merge),
    button("delete", "Delete", "Delete; the neighbour fills (Del)", act.remove),
    button("snap", "Snap", "Snap to the music (S)", act.snap),
    button("replan", "Plan again", "The director plans anew; locked and edited shots stay", act.replan),
    button("music", "Correct the music", "Tempo, downbeat, sections", () => panels.openMusic()),
    h("span", { className: "mv-grow" }),
    button("zoom-out", "−", "Zoom out (−)", () => timeline.zoom(1 / 1.5)),
    button("fit", "Fit", "Fit (Ctrl+0)", () => timeline.fit()),
    button("zoom-in", "+", "Zoom in (+)", () => timeline.zoom(1.5)),
    button("help", "?", "Keys (?)", () => panels.openHelp()),
  );
  const render = button("render", "Render what changed", "Ctrl+Enter", act.render);
  render.className = "mv-main";
  const deliver = button("deliver", "Deliver", "Film, subtitles, other programs, project", () => panels.openDeliver());
  const empty = h(
    "div",
    { className: "mv-empty" },
    h("b", {}, "Your film will be here."),
    h("p", {}, "Choose a song or click an example, say what it should look like, and press Make."),
    h(
      "ol",
      {},
      ...[
        ["Plan", "The song is heard: beat, sections, voice. Shots are cut to it, each with its reasons."],
        ["Animatic", "The whole film at once, as a sketch to play. Drag cuts, change words, lock what you like."],
        ["Film", "The shots are rendered one by one and take the sketch's place. Then deliver it anywhere."],
      ].map(([name, words]) => h("li", {}, h("b", {}, name), words)),
    ),
  );
  const wishes = h(
    "button",
    {
      id: "mv-wishes",
      "data-testid": "wishes",
      "aria-pressed": "true",
      onclick: () => {
        document.body.classList.toggle("mv-no-wishes");
        showWishes();
      },
    },
    "Song and wishes",
  );
  const head = h("div", { className: "mv-head" }, wishes, facts, h("span", { className: "mv-grow" }), render, deliver);
  const work = h(
    "div",
    { className: "mv-work", hidden: true },
    head,
    h("div", { className: "mv-top" }, stage.element, inspector.element),
    tools,
    timeline.element,
  );
  element.replaceChildren(h("div", { className: "mv-editor" }, status, queue.element, empty, work, ...panels.dialogs));
  const showWishes = () =>
    wishes.setAttribute("aria-pressed", String(!document.body.classList.contains("mv-no-wishes")));

  const refresh = (what) => {
    const { state } = link;
    if (what === "opened") {
      timeline.selected = [];
      stage.pause();
    }
    const there = Boolean(state.head);
    empty.hidden = there || state.job.open;
    if (work.hidden === there) {
      work.hidden = !there;
      document.body.classList.toggle("mv-no-wishes", there && innerWidth > 760);
      showWishes();
    }
    if (what === "job" || what === "opened") showJob(status, state);
    if (what === "opened") return;
    if (!there) return;
    if (what !== "progress" && what !== "job") stage.refresh();
    timeline.refresh(what);
    queue.refresh();
    inspector.refresh();
    showFacts(facts, state);
    panels.refresh();
    const left = link.shots.filter((card) => !card.take).length;
    render.textContent = left ? `Render what changed (${left})` : "Render the film";
    render.disabled = state.job.open;
    for (const name of ["undo", "redo"]) {
      const tool = element.querySelector(`#mv-${name}`);
      tool.disabled = !state.head[name];
      tool.title = state.head[name] ? `${name}: ${state.head[name]}` : `nothing to ${name}`;
    }
    element.querySelector("#mv-snap").setAttribute("aria-pressed", String(timeline.snapping));
  };
  const off = link.on(refresh);
  const keys = (event) => MVStudio.onKey(event, act, stage, timeline, panels);
  document.addEventListener("keydown", keys);
  MVStudio.unmount = () => {
    off();
    document.removeEventListener("keydown", keys);
    stage.close();
    timeline.close();
    queue.close();
  };
  MVStudio.fields.named();
  refresh("opened");
  for (const what of ["job", "plan"]) refresh(what);

  function showJob(node, { job }) {
    node.dataset.state = job.state;
    node.hidden = !job.state || (job.state === "done" && !job.words);
    const tool = (words, what) =>
      h("button", { "data-testid": what, disabled: Boolean(job.stopping), onclick: () => link.ask(what) }, words);
    const tools = [];
    if (job.state === "running" || job.state === "queued") tools.push(tool("Pause", "pause"));
    if (job.state === "paused") tools.push(tool("Resume", "resume"));
    if (job.open) tools.push(tool(job.stopping ? "Stopping" : "Cancel", "cancel"));
    if (job.state === "failed" || job.state === "cancelled") tools.push(tool("Try again", "retry"));
    const bar = h(
      "div",
      {
        className: "mv-progress",
        role: "progressbar",
        "aria-label": "Progress",
        "aria-valuenow": Math.round(100 * job.progress),
      },
      h("i"),
    );
    bar.firstChild.style.width = `${100 * job.progress}%`;
    node.replaceChildren(
      h(
        "div",
        { className: "mv-line" },
        h("span", {}, job.words),
        h("span", { className: "mv-grow" }),
        h("span", { className: "mv-left" }, job.left),
        ...tools,
      ),
      ...(job.open ? [bar] : []),
    );
  }

  function showFacts(node, { head, music, cards }) {
    const chips = [
      head.title,
      MVStudio.clock(music.duration, 0),
      music.tempo ? `${music.tempo.toFixed(0)} BPM` : "no beat",
      music.key,
      `${cards.size} shots`,
      `${head.width}×${head.height}`,
      `${+head.fps.toFixed(3)} fps`,
      `revision ${head.revision}`,
      ...music.notes,
    ];
    const words = chips.filter(Boolean);
    if (node.textContent === words.join(" · ")) return;
    // Each by itself: a title written from right to left must not turn its neighbours round.
    node.replaceChildren(...words.flatMap((word, index) => [index ? " · " : "", h("bdi", {}, word)]));
  }
};

// What buttons and keys do.
MVStudio.actionsOf = (stage, timeline, inspector, panels) => {
  const link = MVStudio.link;
  // By the clock, not by stage.index, which a busy page draws later than it seeks.
  const here = () => link.shots[MVStudio.shotAt(link.shots, stage.frameNow)];
  const chosen = () => (timeline.selected.length ? [...timeline.selected] : here() ? [here().id] : []);
  let look = null;
  const self = {
    undo: () => link.edit({ op: "undo" }),
    redo: () => link.edit({ op: "redo" }),
    split: () => {
      const card = here();
      if (card)
        link.edit({ op: "split", id: card.id, frame: stage.frameNow }).then((answer) => {
          if (!answer.error) timeline.select([card.id]);
        });
    },
    merge: () => {
      let ids = chosen();
      if (ids.length === 1) {
        const at = link.state.order.indexOf(ids[0]);
        ids = link.state.order.slice(at, at + 2);
      }
      if (ids.length < 2) {
        MVStudio.toast("The last shot has no next one to merge with");
        return;
      }
      const first = link.state.order.find((id) => ids.includes(id));
      link.edit({ op: "merge", ids }).then((answer) => {
        if (!answer.error) timeline.select([first]);
      });
    },
    remove: () => {
      const ids = chosen(),
        at = Math.max(0, link.state.order.indexOf(ids[0]) - 1);
      link.edit({ op: "delete", ids }).then((answer) => {
        const id = link.state.order[at];
        if (!answer.error && id) timeline.select([id]);
      });
    },
    lock: () => {
      const ids = chosen(),
        cards = inspector.cards(ids);
      link.edit({ op: "lock", ids, locked: !cards.every((card) => card.locked) });
    },
    // It stays as it is now, whatever is planned or rendered again.
    approve: () => {
      const card = here();
      if (!card) return;
      if (!card.locked) link.edit({ op: "lock", ids: [card.id], locked: true });
      MVStudio.toast(`Shot ${link.state.order.indexOf(card.id) + 1} approved: it is locked`);
      if (card.end < link.state.head.frames) self.cut(1);
    },
    choose: (add) => {
      const card = here(),
        { selected } = timeline;
      if (!card) return;
      if (add) timeline.select([...selected.filter((id) => id !== card.id), card.id]);
      else if (selected.includes(card.id)) document.querySelector("[data-testid=prompt]")?.focus();
      else timeline.select([card.id]);
    },
    reorder: (by) => {
      const id = chosen()[0],
        to = link.state.order.indexOf(id) + by;
      if (to < 0 || to >= link.shots.length) return;
      link.edit({ op: "reorder", id, to }).then((answer) => {
        if (!answer.error) timeline.select([id]);
      });
    },
    snap: () => {
      timeline.snapping = !timeline.snapping;
      link.tell("snap");
      MVStudio.toast(`Snapping ${timeline.snapping ? "on" : "off"}`);
    },
    replan: () => link.edit({ op: "replan" }),
    render: () => link.ask("render"),
    renderSelected: () =>
      link.ask("render", { ids: chosen() }).then((answer) => {
        if (answer.note) MVStudio.toast(answer.note);
      }),
    retake: () => link.ask("retake", { id: chosen()[0] }),
    copy: () => {
      look = chosen()[0];
      MVStudio.toast("Look copied: select shots and press Ctrl+V");
    },
    paste: () => {
      if (look) link.edit({ op: "look", source: look, ids: chosen() });
    },
    step: (by) => {
      const { shots } = link,
        at = timeline.selected.length ? link.state.order.indexOf(timeline.selected.at(-1)) : stage.index - by;
      const card = shots[Math.max(0, Math.min(shots.length - 1, at + by))];
      if (card) {
        timeline.select([card.id]);
        timeline.show(card.start);
        stage.seekFrame(card.start);
      }
    },
    cut: (direction) => {
      const frame = stage.frameNow,
        starts = link.shots.map((card) => card.start);
      const next =
        direction > 0 ? starts.find((start) => start > frame) : starts.filter((start) => start < frame).at(-1);
      stage.pause();
      stage.seekFrame(next ?? (direction > 0 ? link.state.head.frames - 1 : 0));
      timeline.show(stage.frameNow);
    },
    nudge: (direction, onBeat) => {
      const card = inspector.cards(chosen())[0],
        frame = card && timeline.nudged(card.start, direction, onBeat);
      if (card && frame !== undefined) link.edit({ op: "move_boundary", id: card.id, frame, go: `nudge ${card.id}` });
    },
  };
  return self;
};

MVStudio.onKey = (event, act, stage, timeline, panels) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable=true]"),
    command = event.ctrlKey || event.metaKey;
  const ready = Boolean(MVStudio.link.state.head),
    key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (command && key === "Enter") {
    event.preventDefault();
    if (ready && document.body.classList.contains("mv-no-wishes")) act.render();
    else document.querySelector("#make")?.click();
    return;
  }
  if (typing || !ready || document.querySelector("dialog[open]") || event.defaultPrevented) return;
  const within = event.target.closest?.(".mv-editor") || event.target === document.body,
    onButton = event.target.closest?.("button, a, summary");
  if (!within || (onButton && [" ", "Enter"].includes(key))) return;
  const seek = (by) => {
    stage.pause();
    stage.seekFrame(stage.frameNow + by);
    timeline.show(stage.frameNow);
  };
  const second = Math.round(stage.fps);
  const commands = {
    z: event.shiftKey ? act.redo : act.undo,
    y: act.redo,
    c: act.copy,
    v: act.paste,
    a: () => timeline.select([...MVStudio.link.state.order]),
    ArrowLeft: () => act.reorder(-1),
    ArrowRight: () => act.reorder(1),
    0: () => timeline.fit(),
  };
  const plain = {
    " ": () => stage.toggle(),
    k: () => stage.pause(),
    j: () => stage.shuttle(-1),
    l: event.shiftKey ? act.lock : () => stage.shuttle(1),
    ArrowLeft: () => (event.altKey ? act.nudge(-1, event.shiftKey) : seek(event.shiftKey ? -second : -1)),
    ArrowRight: () => (event.altKey ? act.nudge(1, event.shiftKey) : seek(event.shiftKey ? second : 1)),
    ArrowUp: () => act.cut(-1),
    ArrowDown: () => act.cut(1),
    Home: () => stage.seek(0),
    End: () => stage.seekFrame(MVStudio.link.state.head.frames - 1),
    a: act.approve,
    b: act.split,
    m: act.merge,
    Delete: act.remove,
    Backspace: act.remove,
    s: act.snap,
    Escape: () => timeline.select([]),
    "+": () => timeline.zoom(1.5),
    "=": () => timeline.zoom(1.5),
    "-": () => timeline.zoom(1 / 1.5),
    "?": () => panels.openHelp(),
    Enter: () => act.choose(event.shiftKey),
  };
  if (key === "Tab" && event.target === timeline.element && !command && timeline.selected.length) {
    const at = MVStudio.link.state.order.indexOf(timeline.selected.at(-1)) + (event.shiftKey ? -1 : 1);
    if (at < 0 || at >= MVStudio.link.state.order.length) return; // at either end the focus moves on
    event.preventDefault();
    act.step(event.shiftKey ? -1 : 1);
    return;
  }
  const work = (command ? commands : plain)[key];
  if (!work || (key === "c" && command && String(getSelection()))) return;
  event.preventDefault();
  work();
};

MVStudio.toast = (words) => {
  const toast = MVStudio.h("div", { className: "mv-toast", role: "alert" }, words);
  document.body.append(toast);
  setTimeout(() => toast.remove(), Math.min(12000, 4000 + 40 * words.length));
};

// The address names the project: a reload comes back to it.
MVStudio.opened = (name) => {
  history.replaceState(null, "", name ? `?project=${encodeURIComponent(name)}` : location.pathname);
};
