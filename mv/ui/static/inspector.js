// The inspector: what the selected shots show, why, and their takes. One form for one shot or many.
MVStudio.Inspector = class {
  constructor(timeline, stage) {
    this.timeline = timeline;
    this.stage = stage;
    this.goes = 0;
    const { h } = MVStudio;
    this.heading = h("h4", { "data-testid": "shot-heading" });
    this.strip = h("canvas", {
      className: "mv-filmstrip",
      width: 330,
      height: 62,
      role: "img",
      "aria-label": "Four moments of the shot",
    });
    this.above = h("canvas", {
      className: "mv-above",
      width: 92,
      height: 62,
      role: "img",
      "aria-label": "The camera's way seen from above",
    });
    this.keyframes = new MVStudio.Keyframes(stage);
    this.fields = {
      prompt: this.text(),
      size: this.choice("size"),
      move: this.choice("move"),
      amount: this.slider("amount", 2, 0.05),
      beat: this.slider("beat", 1, 0.05),
      transition: this.choice("transition"),
      frames: this.number("transition_frames", 0, 480),
      seed: this.number("seed", 0, 2 ** 32 - 1),
    };
    this.picture = h("img", { alt: "Reference image of this shot" });
    this.file = h("input", {
      type: "file",
      accept: "image/*",
      "data-testid": "reference",
      "aria-label": "Reference image",
    });
    this.file.addEventListener("change", () => this.giveReference());
    this.unset = h("button", { onclick: () => this.send("reference", null) }, "Remove");
    this.ignored = h("p", { className: "mv-hint" });
    this.lock = h("button", { "data-testid": "lock", onclick: () => MVStudio.actions.lock() });
    this.render = h(
      "button",
      { className: "mv-main", "data-testid": "render-shot", onclick: () => MVStudio.actions.renderSelected() },
      "Render this shot",
    );
    this.retake = h("button", { "data-testid": "retake", onclick: () => MVStudio.actions.retake() }, "Another take");
    this.takes = h("div", { className: "mv-takes" });
    this.reasons = h("dl");
    this.why = h("details", { className: "mv-why", open: true }, h("summary", {}, "Why this shot"), this.reasons);
    this.form = h(
      "div",
      { className: "mv-form" },
      h("div", { className: "mv-pictures" }, this.strip, this.above),
      this.field("Prompt", this.fields.prompt),
      this.ignored,
      h(
        "div",
        { className: "mv-pair" },
        this.field("Size", this.fields.size),
        this.field("Camera move", this.fields.move),
      ),
      h(
        "div",
        { className: "mv-pair" },
        this.field("Amount", this.fields.amount),
        this.field("Push on the beat", this.fields.beat),
      ),
      this.keyframes.element,
      h(
        "div",
        { className: "mv-pair" },
        this.field("Begins with a", this.fields.transition),
        this.field("Its length, frames", this.fields.frames),
      ),
      this.field("Seed", this.fields.seed),
      h("div", { className: "mv-buttons" }, this.render, this.retake, this.lock),
      h(
        "div",
        { className: "mv-reference" },
        this.field("Reference image: the shot starts from it", this.file),
        this.picture,
        this.unset,
      ),
      this.takes,
      this.why,
    );
    this.hint = h(
      "p",
      { className: "mv-hint" },
      "Click a shot on the timeline to see what it shows and why. Shift or Ctrl and click selects more.",
    );
    this.element = h(
      "section",
      { className: "mv-inspector", "aria-label": "Inspector" },
      this.heading,
      this.hint,
      this.form,
    );
    timeline.onselect = () => this.refresh();
  }

  field(words, control) {
    return MVStudio.h("label", { className: "mv-field" }, MVStudio.h("span", {}, words), control);
  }

  text() {
    const area = MVStudio.h("textarea", { rows: 3, "data-testid": "prompt", maxLength: 1000 });
    area.addEventListener("focus", () => {
      this.goes++;
    });
    area.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.sendText(), 700);
    });
    area.addEventListener("change", () => this.sendText());
    return area;
  }

  // All that is typed in one go is one step to undo.
  sendText() {
    clearTimeout(this.typing);
    this.typing = null;
    const prompt = this.fields.prompt.value,
      ids = this.typed || this.timeline.selected;
    if (!ids.length || (this.cards(ids)[0]?.prompt ?? "") === prompt.split(/\s+/).join(" ").trim()) return;
    if (prompt.trim()) MVStudio.link.edit({ op: "set", ids, fields: { prompt }, go: `prompt ${this.goes}` });
  }

  choice(name) {
    const select = MVStudio.h("select", { "data-testid": name });
    select.addEventListener("change", () => {
      if (select.value) this.send(name, select.value);
    });
    return select;
  }

  slider(name, most, step) {
    const input = MVStudio.h("input", { type: "range", min: 0, max: most, step, "data-testid": name });
    const said = MVStudio.h("output"),
      both = MVStudio.h("span", { className: "mv-slider" }, input, said);
    input.addEventListener("pointerdown", () => {
      this.goes++;
    });
    input.addEventListener("input", () => {
      said.textContent = input.value;
    });
    input.addEventListener("change", () => this.send(name, Number(input.value)));
    Object.assign(both, { input, said });
    return both;
  }

  number(name, least, most) {
    const input = MVStudio.h("input", { type: "number", min: least, max: most, step: 1, "data-testid": name });
    input.addEventListener("change", () => {
      const value = MVStudio.numberIn(input, name.replaceAll("_", " "), () => this.refresh());
      if (value !== null) this.send(name, value);
    });
    return input;
  }

  send(name, value) {
    MVStudio.link.edit({
      op: "set",
      ids: this.timeline.selected,
      fields: { [name]: value },
      go: `${name} ${this.goes}`,
    });
  }

  async giveReference() {
    const [file] = this.file.files,
      ids = [...this.timeline.selected];
    if (!file || !ids.length) return;
    try {
      const { path } = await MVStudio.link.api.upload(file);
      await MVStudio.link.edit({ op: "reference", ids, path });
    } catch (error) {
      MVStudio.toast(`The picture could not be uploaded: ${error.message}`);
    }
    this.file.value = "";
  }

  cards(ids = this.timeline.selected) {
    const { cards } = MVStudio.link.state;
    return ids.map((id) => cards.get(id)).filter(Boolean);
  }

  // ---------------------------------------------------------------- what is shown

  refresh() {
    const { state } = MVStudio.link,
      cards = this.cards(),
      one = cards.length === 1 ? cards[0] : null;
    if (this.typing && this.typed?.join() !== this.timeline.selected.join()) this.sendText();
    this.typed = [...this.timeline.selected];
    this.form.hidden = !cards.length;
    this.hint.hidden = cards.length > 0;
    if (!cards.length || !state.head) {
      this.heading.textContent = "No shot selected";
      return;
    }
    this.heading.textContent = one ? this.title(one) : `${cards.length} shots`;
    this.options(this.fields.size, state.head.words.sizes);
    this.options(this.fields.move, state.head.words.moves);
    this.options(this.fields.transition, state.head.words.transitions);
    const same = (read) => (cards.every((card) => read(card) === read(cards[0])) ? read(cards[0]) : "");
    this.put(
      this.fields.prompt,
      same((card) => card.prompt),
    );
    this.put(
      this.fields.size,
      same((card) => card.size),
    );
    this.put(
      this.fields.move,
      same((card) => card.move),
    );
    for (const name of ["amount", "beat"]) {
      const value = same((card) => card[name]);
      this.put(this.fields[name].input, value === "" ? 0 : value);
      this.fields[name].said.textContent = value === "" ? "mixed" : value;
    }
    this.put(
      this.fields.transition,
      same((card) => card.transition),
    );
    this.put(
      this.fields.frames,
      same((card) => card.fade[0] + card.fade[1]),
    );
    this.put(
      this.fields.seed,
      same((card) => card.seed),
    );
    const reference = same((card) => card.reference || "");
    this.picture.hidden = this.unset.hidden = !reference;
    if (reference && this.picture.getAttribute("src") !== state.head.folder + reference)
      this.picture.src = state.head.folder + reference;
    const locked = cards.every((card) => card.locked);
    for (const field of [
      this.fields.prompt,
      this.fields.size,
      this.fields.move,
      this.fields.amount.input,
      this.fields.beat.input,
      this.fields.transition,
      this.fields.frames,
      this.fields.seed,
      this.file,
      this.unset,
    ])
      field.disabled = locked;
    this.fields.amount.input.disabled ||= cards.some((card) => card.keyframes.length);
    this.fields.frames.disabled ||= cards.some((card) => card.transition === "cut");
    this.lock.textContent = locked ? "Unlock" : "Lock";
    this.render.textContent = one ? "Render this shot" : `Render ${cards.length} shots`;
    this.render.disabled = this.retake.disabled = state.job.open;
    this.retake.hidden = this.takes.hidden = this.why.hidden = this.strip.parentNode.hidden = !one;
    this.keyframes.element.hidden = !one;
    this.ignored.textContent = one?.ignored.length
      ? `Words the built-in model does not know: ${one.ignored.join(", ")}`
      : "";
    if (one) {
      this.drawStrip(one);
      this.drawAbove(one);
      this.keyframes.show(one);
      this.showTakes(one);
      this.measure(one);
      this.showReasons(one);
    }
  }

  title(card) {
    const { state } = MVStudio.link,
      at = (frame) => MVStudio.clock(frame / state.head.fps);
    const section = state.music.sections[card.section]?.[2] || "";
    const number = state.order.indexOf(card.id) + 1;
    return `Shot ${number} · ${section} · ${at(card.start)}–${at(card.end)} · ${card.end - card.start} f`;
  }

  options(select, words) {
    if (select.options.length === words.length + 1) return;
    select.replaceChildren(
      MVStudio.h("option", { value: "" }, "mixed"),
      ...words.map((word) => MVStudio.h("option", { value: word }, word)),
    );
    select.options[0].hidden = true;
  }

  // A field in which somebody types is left alone.
  put(field, value) {
    if (field === document.activeElement && this.typing) return;
    if (field.value !== String(value)) field.value = value;
  }

  drawStrip(card) {
    const pen = this.strip.getContext("2d"),
      moments = 4;
    pen.clearRect(0, 0, this.strip.width, this.strip.height);
    const sheet = MVStudio.sheets.of(card, () => this.refresh());
    if (!sheet) return;
    const { image, sketches, stale } = sheet;
    pen.globalAlpha = stale ? 0.3 : 1;
    for (let k = 0; k < moments; k++) {
      const cell = MVStudio.sheets.cell(image, Math.floor(((k + 0.5) / moments) * sketches), sketches);
      const w = Math.min(this.strip.width / moments, (this.strip.height * cell[2]) / cell[3]);
      pen.drawImage(image, ...cell, k * (this.strip.width / moments), 0, w - 2, this.strip.height);
    }
  }

  // The performer in the middle, the camera's way with its direction at start and end; the audience below.
  drawAbove(card) {
    const pen = this.above.getContext("2d"),
      { width, height } = this.above,
      style = getComputedStyle(this.element);
    pen.clearRect(0, 0, width, height);
    if (!card.path.length) return;
    const far = Math.max(2, ...card.path.map(([x, z]) => Math.max(Math.abs(x), Math.abs(z)))),
      k = (height - 14) / far;
    const put = ([x, z]) => [width / 2 + x * k * 0.8, 8 + z * k];
    pen.fillStyle = style.getPropertyValue("--mv-energy") || "#d97706";
    pen.beginPath();
    pen.arc(width / 2, 8, 4, 0, 7);
    pen.fill();
    pen.strokeStyle = pen.fillStyle = style.getPropertyValue("--body-text-color") || "#333";
    pen.lineWidth = 1.5;
    pen.beginPath();
    card.path.forEach((point, i) => (i ? pen.lineTo(...put(point)) : pen.moveTo(...put(point))));
    pen.stroke();
    for (const [place, size] of [
      [0, 2.5],
      [card.path.length - 1, 4],
    ]) {
      const [x, y] = put(card.path[place]),
        yaw = card.path[place][2];
      pen.beginPath();
      pen.arc(x, y, size, 0, 7);
      pen.fill();
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + 10 * Math.sin(yaw), y + 10 * Math.cos(yaw));
      pen.stroke();
    }
  }

  showTakes(card) {
    const { h } = MVStudio,
      { head } = MVStudio.link.state;
    const measured = this.measured?.of === card.id ? this.measured : { measures: {}, better: {}, unknown: 0 };
    const looks = JSON.stringify([card.id, card.takes, card.take, card.chosen, card.locked, measured]);
    if (this.takesShown === looks) return;
    this.takesShown = looks;
    const words = card.takes.length ? `Takes (${card.takes.length})` : "No take yet: what you see is the animatic.";
    const numbers = card.takes.map((take) => ({ ...take.measurements, ...measured.measures[take.key] }));
    this.takes.replaceChildren(
      h(
        "div",
        { className: "mv-takes-head" },
        h("h5", {}, words),
        ...(card.takes.length > 1
          ? [h("button", { "data-testid": "play-takes", onclick: () => this.playTakes() }, "Play side by side")]
          : []),
      ),
      ...card.takes.map((take, number) => {
        const video = h("video", {
          src: head.takes + take.file,
          muted: true,
          loop: true,
          preload: "metadata",
          playsInline: true,
        });
        video.addEventListener("pointerenter", () => video.play().catch(() => {}));
        video.addEventListener("pointerleave", () => video.pause());
        const facts = [take.model, `${take.seconds.toFixed(1)} s to render`, ...(take.fits ? [] : ["other length"])];
        const waits = take.fits && !measured.measures[take.key] && measured.unknown > 0;
        const standing = take.key === card.take;
        return h(
          "div",
          { className: `mv-take${standing ? " standing" : ""}`, "data-testid": "take" },
          video,
          h("small", {}, `${number + 1} · ${facts.join(" · ")}`),
          h(
            "dl",
            { className: "mv-measures" },
            ...Object.entries(numbers[number]).flatMap(([name, value]) => {
              const best = this.isBest(value, name, measured.better[name], numbers);
              return [h("dt", {}, name), h("dd", { className: best ? "best" : "" }, `${value.toFixed(2)}${best ? " ✓" : ""}`)];
            }),
            ...(waits ? [h("dt", {}, "measuring…")] : []),
          ),
          h(
            "div",
            { className: "mv-buttons" },
            h(
              "button",
              {
                disabled: standing || !take.fits || card.locked,
                onclick: () => MVStudio.link.edit({ op: "choose", id: card.id, take: take.key }),
              },
              standing ? "In the film" : "Use this",
            ),
            h(
              "button",
              {
                "aria-label": `Delete take ${number + 1}`,
                onclick: () => {
                  if (confirm("Delete this take? Undo does not bring it back."))
                    MVStudio.link.ask("delete take", { take: take.key });
                },
              },
              "Delete",
            ),
          ),
        );
      }),
    );
  }

  // Of takes that were measured and differ.
  isBest(value, name, better, numbers) {
    const all = numbers.map((one) => one[name]).filter((one) => one !== undefined),
      [least, most] = [Math.min(...all), Math.max(...all)];
    return Boolean(better) && least < most && value === (better === "high" ? most : least);
  }

  // Measured when somebody looks: it takes Python a second or two a take.
  async measure(card) {
    // A take is the plan's own when the rendering it came of is over.
    const { job } = MVStudio.link.state,
      of = JSON.stringify([card.id, card.strip, card.takes.map((take) => take.key), job.open]);
    if (this.measuredOf === of) return;
    this.measuredOf = of;
    while (card.takes.length && this.measuredOf === of) {
      const answer = await MVStudio.link.ask("measure", { id: card.id });
      if (answer.error || this.measuredOf !== of) return;
      this.measured = { of: card.id, measures: answer.measures, better: answer.better, unknown: answer.unknown };
      this.refresh();
      if (!answer.unknown) return;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }

  // All from their first frame at once, until they are played again or pointed at.
  playTakes() {
    for (const video of this.takes.querySelectorAll("video")) {
      video.currentTime = 0;
      video.play().catch(() => {});
    }
  }

  showReasons(card) {
    const { h } = MVStudio;
    this.reasons.replaceChildren(
      ...card.reasons.flatMap(([decision, choice, evidence]) => [
        h("dt", {}, decision),
        h("dd", {}, choice, " ", h("small", {}, evidence)),
      ]),
    );
  }
};
