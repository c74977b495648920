// The dialogs: keys, corrections of the music, delivery.
MVStudio.Panels = class {
  constructor() {
    const { h } = MVStudio;
    const dialog = (name, title, ...children) =>
      h(
        "dialog",
        { className: "mv-dialog", "data-testid": `${name}-dialog`, "aria-label": title },
        h(
          "form",
          { method: "dialog" },
          h("h3", {}, title),
          h("button", { className: "mv-close", "aria-label": "Close" }, "×"),
        ),
        ...children,
      );
    this.help = dialog(
      "help",
      "Keys",
      h(
        "dl",
        { className: "mv-keys" },
        ...MVStudio.KEYS.flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)]),
      ),
    );
    this.tempo = h("p", {});
    this.taps = [];
    this.tapped = h("span", { className: "mv-hint" }, "Press while the song plays, once a beat, at least four times.");
    this.sections = h("div", { className: "mv-sections" });
    const fix = (id, words, op) => h("button", { "data-testid": id, onclick: () => MVStudio.link.edit(op) }, words);
    this.music = dialog(
      "music",
      "Correct the music",
      h("p", { className: "mv-hint" }, "The plan is made again; locked and edited shots stay. Undo takes it back."),
      this.tempo,
      h(
        "div",
        { className: "mv-buttons" },
        fix("half-tempo", "½ tempo", { op: "scale_tempo", factor: 0.5 }),
        fix("double-tempo", "2 × tempo", { op: "scale_tempo", factor: 2 }),
        fix("downbeat-earlier", "Bars a beat earlier", { op: "shift_downbeat", by: -1 }),
        fix("downbeat-later", "Bars a beat later", { op: "shift_downbeat", by: 1 }),
      ),
      h(
        "div",
        { className: "mv-buttons" },
        h("button", { "data-testid": "tap", onclick: () => this.tap() }, "Tap"),
        h("button", { "data-testid": "use-taps", onclick: () => this.useTaps() }, "Use the taps"),
        this.tapped,
      ),
      h("h4", {}, "Sections"),
      this.sections,
    );
    this.files = h("div", { className: "mv-files" });
    const lists = [
      ["srt", "Subtitles (SRT)"],
      ["edl", "EDL (CMX 3600)"],
      ["otio", "OpenTimelineIO"],
      ["fcpxml", "FCPXML (Final Cut, Resolve)"],
      ["clips", "Clips, one a shot, with these lists (zip)"],
      ["plan", "Shot plan (JSON)"],
      ["zip", "Whole project (zip)"],
    ];
    this.aspects = h(
      "div",
      { className: "mv-buttons" },
      ...["16:9", "9:16", "1:1"].map((aspect) =>
        h(
          "button",
          {
            "data-testid": `aspect-${aspect}`,
            onclick: () =>
              MVStudio.link.edit({ op: "aspect", aspect }).then((answer) => {
                if (!answer.error)
                  MVStudio.toast(`The plan is ${aspect} now: render it to get that film. Undo goes back.`);
              }),
          },
          aspect,
        ),
      ),
    );
    this.deliver = dialog(
      "deliver",
      "Deliver",
      h("h4", {}, "Films"),
      this.files,
      h("h4", {}, "Another shape, the same cuts"),
      this.aspects,
      h("h4", {}, "For other programs"),
      h(
        "div",
        { className: "mv-buttons" },
        ...lists.map(([what, words]) =>
          h("button", { "data-testid": `deliver-${what}`, onclick: () => this.fetch(what) }, words),
        ),
      ),
    );
    this.dialogs = [this.help, this.music, this.deliver];
  }

  openHelp() {
    this.help.showModal();
  }
  openDeliver() {
    this.deliver.showModal();
    this.refresh();
  }

  openMusic(section = -1) {
    if (!this.music.open) this.music.show();
    this.taps = [];
    this.refresh();
    this.sections.children[section]?.querySelector("select").focus();
  }

  refresh() {
    const { h } = MVStudio,
      { head, music } = MVStudio.link.state;
    if (this.deliver.open && head) {
      this.files.replaceChildren(
        ...(head.films.length
          ? head.films.map((film) =>
              h("a", { href: film.file, download: film.name, "data-testid": "film-link" }, film.name),
            )
          : [h("p", { className: "mv-hint" }, "None yet: press Render.")]),
      );
    }
    if (!this.music.open || !music) return;
    this.tempo.textContent = music.tempo
      ? `${music.tempo.toFixed(1)} beats a minute, ${music.downbeats.length} bars`
      : "No beat was found: tap along.";
    const looks = JSON.stringify(music.sections);
    if (this.sectionsShown === looks) return;
    this.sectionsShown = looks;
    this.sections.replaceChildren(
      ...music.sections.map(([start, end, label], index) => {
        const select = h(
          "select",
          { "aria-label": `Section ${index + 1}`, "data-testid": `section-${index}` },
          ...head.words.labels.map((word) => h("option", { value: word }, word)),
        );
        select.value = label;
        select.addEventListener("change", () =>
          MVStudio.link.edit({ op: "rename_section", index, label: select.value }),
        );
        const begins = h("input", {
          type: "number",
          min: 0,
          step: "any",
          value: start,
          disabled: !index,
          "aria-label": `Start of section ${index + 1}, seconds`,
          "data-testid": `section-start-${index}`,
        });
        const restore = () => {
          begins.value = start;
        };
        begins.addEventListener("change", () => {
          const time = MVStudio.numberIn(begins, `start of section ${index + 1}`, restore);
          if (time === null) return;
          MVStudio.link.edit({ op: "move_section", index, time }).then((answer) => answer.error && restore());
        });
        return h("div", {}, begins, h("span", {}, `${MVStudio.clock(start)} – ${MVStudio.clock(end)}`), select);
      }),
    );
  }

  tap() {
    if (!MVStudio.stage.playing) {
      MVStudio.stage.start();
      this.taps = [];
      this.tapped.textContent = "Playing: tap on every beat.";
      return;
    }
    this.taps.push(MVStudio.stage.now);
    const [first, last] = [this.taps[0], this.taps.at(-1)];
    this.tapped.textContent =
      this.taps.length > 1
        ? `${this.taps.length} taps, ${((60 * (this.taps.length - 1)) / (last - first)).toFixed(1)} BPM`
        : "1 tap";
  }

  useTaps() {
    MVStudio.stage.pause();
    MVStudio.link.edit({ op: "tap", times: this.taps }).then(() => {
      this.taps = [];
    });
  }

  async fetch(what) {
    const answer = await MVStudio.link.ask("deliver", { what });
    if (!answer.file) return;
    const link = MVStudio.h("a", { href: answer.file.url, download: answer.file.name });
    document.body.append(link);
    link.click();
    link.remove();
  }
};
