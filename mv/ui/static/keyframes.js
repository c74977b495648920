// Keyframes of a shot's camera: seen from above, where they are dragged, and in a table, where each number can be typed.
//
// A row is [moment 0..1, x, y, z (metres), yaw, pitch, roll (degrees), focal (picture widths)], as mv/ui/keyframes.py has
// it. The performer stands at 0, 0 and looks down the picture, towards the audience; yaw 0 looks up the picture.
// What leads the camera of a shot, in a word or two.
MVStudio.wayOf = (card) => (card.keyframes.length ? "keyframes" : card.move);

MVStudio.Keyframes = class {
  static FILM = 36; // millimetres: a focal length in picture widths times this is the lens on full frame
  static REACH = 10; // pixels to a point that can be dragged
  static ARROW = 24; // pixels from a keyframe to the handle that turns it
  static HEAD = 1.5; // metres: where "aim" looks
  // Heading, what it means, step, digits; of each number of a row.
  static COLUMNS = [
    ["s", "seconds from the start of the shot", 0.01, 2],
    ["x", "metres to the right, seen from the audience", 0.05, 2],
    ["y", "metres above the ground", 0.05, 2],
    ["z", "metres towards the audience", 0.05, 2],
    ["yaw", "degrees to the left", 1, 1],
    ["pitch", "degrees up", 1, 1],
    ["roll", "degrees clockwise", 1, 1],
    ["mm", "focal length on full frame", 1, 1],
  ];

  constructor(stage) {
    const { h } = MVStudio;
    this.stage = stage;
    this.unanswered = 0;
    this.chosen = 0;
    this.rows = [];
    this.canvas = h("canvas", {
      className: "mv-keyframe-map",
      width: 330,
      height: 190,
      role: "img",
      "data-testid": "keyframe-map",
      "aria-label": "Keyframes of the camera seen from above; the table below holds their numbers",
    });
    this.body = h("tbody");
    this.table = h(
      "table",
      { className: "mv-keyframe-table", "data-testid": "keyframe-table", "aria-label": "Keyframes" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...MVStudio.Keyframes.COLUMNS.map(([name, title]) => h("th", { title, scope: "col" }, name)),
          h("th", { "aria-label": "Delete" }),
        ),
      ),
      this.body,
    );
    const button = (id, words, title, act) => h("button", { "data-testid": id, title, onclick: act }, words);
    this.make = button(
      "make-keyframes",
      "Make keyframes of this move",
      "The same way, as points that can be moved one by one",
      () => this.edit({ op: "make_keyframes", ids: [this.card.id] }),
    );
    this.add = button("add-keyframe", "Add at the playhead", "Or double-click on the way", () =>
      this.addAt(this.moment ?? 0.5),
    );
    this.aim = button("aim-keyframe", "Aim at the performer", "Turn the chosen keyframe to the performer", () =>
      this.aimAtPerformer(),
    );
    this.clear = button("clear-keyframes", "Back to the named move", "Forget the keyframes; undo brings them back", () =>
      this.send([]),
    );
    this.tools = h("div", { className: "mv-buttons" }, this.add, this.aim, this.clear);
    const hint = "The camera goes through these points, seen from above; a move chosen above takes their place.";
    this.editor = h(
      "div",
      { className: "mv-keyframe-editor" },
      h("p", { className: "mv-hint" }, hint),
      this.canvas,
      this.table,
      this.tools,
    );
    this.element = h("div", { className: "mv-keyframes" }, this.make, this.editor);
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerup", () => this.up());
    this.canvas.addEventListener("pointercancel", () => this.cancel());
    this.canvas.addEventListener("dblclick", (event) => this.doubleClick(event));
    stage.listeners.add(() => this.follow());
  }

  // Seconds of the take that a shot needs, from its first frame to its last.
  get seconds() {
    const [start, stop] = this.card.span;
    return Math.max(1, stop - start - 1) / this.stage.fps;
  }

  // The playhead's moment of the shot; null outside of it.
  get moment() {
    const [start, stop] = this.card.span,
      at = (this.stage.frameNow - start) / Math.max(1, stop - start - 1);
    return at >= 0 && at <= 1 ? at : null;
  }

  // ---------------------------------------------------------------- what is shown

  show(card) {
    if (this.card?.id !== card.id) {
      this.chosen = 0;
      this.drag = null;
    }
    this.card = card;
    const has = card.keyframes.length > 0;
    this.make.hidden = has;
    this.editor.hidden = !has;
    this.make.disabled = card.locked;
    for (const tool of [this.add, this.aim, this.clear]) tool.disabled = card.locked;
    if (this.drag || this.unanswered) return;
    this.rows = card.keyframes.map((row) => [...row]);
    this.chosen = Math.min(this.chosen, Math.max(0, this.rows.length - 1));
    this.fill();
    this.draw();
  }

  // The table is built anew only where other numbers are to be seen, and the focus stays in its place.
  fill() {
    const looks = JSON.stringify([this.card.id, this.card.locked, this.card.span, this.rows]);
    if (this.filled === looks) return;
    this.filled = looks;
    const { h } = MVStudio,
      { COLUMNS } = MVStudio.Keyframes,
      focus = document.activeElement?.dataset?.cell;
    this.body.replaceChildren(
      ...this.rows.map((row, index) =>
        h(
          "tr",
          { onfocusin: () => this.choose(index), onclick: () => this.choose(index) },
          ...COLUMNS.map(([name, title, step], column) => {
            const input = h("input", {
              type: "number",
              step,
              value: this.shown(row, column),
              disabled: this.card.locked,
              "aria-label": `Keyframe ${index + 1}, ${name}: ${title}`,
              "data-testid": `keyframe-${index}-${name}`,
            });
            input.dataset.cell = `${index} ${column}`;
            input.addEventListener("change", () => this.typed(index, column, input));
            return h("td", {}, input);
          }),
          h(
            "td",
            {},
            h(
              "button",
              {
                "aria-label": `Delete keyframe ${index + 1}`,
                "data-testid": `delete-keyframe-${index}`,
                disabled: this.card.locked || this.rows.length < 2,
                onclick: () => this.send(this.rows.filter((_, other) => other !== index)),
              },
              "×",
            ),
          ),
        ),
      ),
    );
    if (focus) this.body.querySelector(`[data-cell="${focus}"]`)?.focus();
    this.mark();
  }

  shown(row, column) {
    const value = column === 0 ? row[0] * this.seconds : column === 7 ? row[7] * MVStudio.Keyframes.FILM : row[column];
    return String(Number(value.toFixed(MVStudio.Keyframes.COLUMNS[column][3])));
  }

  choose(index) {
    if (this.chosen === index) return;
    this.chosen = index;
    this.mark();
    this.draw();
  }

  mark() {
    [...this.body.children].forEach((row, index) => row.classList.toggle("chosen", index === this.chosen));
  }

  // Only the mark of the playhead moves.
  follow() {
    if (!this.card || this.editor.hidden || !this.editor.isConnected || this.moment === this.markedAt) return;
    this.markedAt = this.moment;
    this.draw();
  }

  draw() {
    const pen = this.canvas.getContext("2d"),
      { width, height } = this.canvas,
      style = getComputedStyle(this.element),
      ink = style.getPropertyValue("--body-text-color") || "#333",
      accent = style.getPropertyValue("--primary-500") || "#e11d48";
    pen.clearRect(0, 0, width, height);
    if (!this.rows.length) return;
    if (!this.drag) this.fitView();
    // Circles of one metre round the performer, then the performer.
    pen.strokeStyle = style.getPropertyValue("--border-color-primary") || "#ccc";
    for (let metres = 1; metres * this.scale < width; metres++) {
      pen.beginPath();
      pen.arc(...this.put([0, 0]), metres * this.scale, 0, 7);
      pen.stroke();
    }
    pen.fillStyle = style.getPropertyValue("--mv-energy") || "#d97706";
    pen.beginPath();
    pen.arc(...this.put([0, 0]), 5, 0, 7);
    pen.fill();
    // Python's way through the keyframes; straight lines while one is being moved.
    const way = this.drag ? this.rows.map((row) => [row[1], row[3]]) : this.card.path;
    pen.strokeStyle = pen.fillStyle = ink;
    pen.setLineDash(this.drag ? [4, 3] : []);
    pen.lineWidth = 1.5;
    pen.beginPath();
    way.forEach((point, i) => (i ? pen.lineTo(...this.put(point)) : pen.moveTo(...this.put(point))));
    pen.stroke();
    pen.setLineDash([]);
    pen.font = "10px system-ui, sans-serif";
    this.rows.forEach((row, index) => {
      const [x, y] = this.put([row[1], row[3]]),
        [u, v] = this.handle(row);
      pen.strokeStyle = pen.fillStyle = index === this.chosen ? accent : ink;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(u, v);
      pen.stroke();
      pen.beginPath();
      pen.arc(x, y, index === this.chosen ? 6 : 4.5, 0, 7);
      pen.fill();
      pen.beginPath();
      pen.arc(u, v, 3, 0, 7);
      pen.stroke();
      pen.fillText(String(index + 1), x + 8, y + 10);
    });
    const at = this.moment;
    if (at !== null && !this.drag && way.length) {
      const [x, y] = this.put(way[Math.round(at * (way.length - 1))]);
      pen.strokeStyle = accent;
      pen.strokeRect(x - 4, y - 4, 8, 8);
    }
  }

  // All of the way and the performer, with room for the handles.
  fitView() {
    const { width, height } = this.canvas,
      points = [[0, 0], ...this.card.path, ...this.rows.map((row) => [row[1], row[3]])];
    const far = (k, pick) => pick(...points.map((point) => point[k])),
      middle = [(far(0, Math.min) + far(0, Math.max)) / 2, (far(1, Math.min) + far(1, Math.max)) / 2];
    const wide = Math.max(2, far(0, Math.max) - far(0, Math.min)),
      deep = Math.max(2, far(1, Math.max) - far(1, Math.min));
    this.scale = Math.min((width - 70) / wide, (height - 70) / deep);
    this.middle = middle;
  }

  put([x, z]) {
    const { width, height } = this.canvas;
    return [width / 2 + (x - this.middle[0]) * this.scale, height / 2 + (z - this.middle[1]) * this.scale];
  }

  handle(row) {
    const [x, y] = this.put([row[1], row[3]]),
      yaw = (row[4] * Math.PI) / 180;
    return [x - MVStudio.Keyframes.ARROW * Math.sin(yaw), y - MVStudio.Keyframes.ARROW * Math.cos(yaw)];
  }

  // ---------------------------------------------------------------- changes

  // Pixels of the canvas, which may be shown smaller than it is.
  pointer(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * this.canvas.width) / box.width,
      ((event.clientY - box.top) * this.canvas.height) / box.height,
    ];
  }

  down(event) {
    if (event.button || this.card.locked || !this.rows.length) return;
    const at = this.pointer(event),
      near = (point) => Math.hypot(point[0] - at[0], point[1] - at[1]);
    const targets = this.rows.flatMap((row, index) => [
      { index, kind: "place", far: near(this.put([row[1], row[3]])) },
      { index, kind: "yaw", far: near(this.handle(row)) },
    ]);
    const best = targets.reduce((a, b) => (b.far < a.far ? b : a));
    if (best.far > MVStudio.Keyframes.REACH) return;
    this.choose(best.index);
    this.drag = { ...best, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.drag) return;
    const [px, py] = this.pointer(event),
      row = this.rows[this.drag.index],
      { width, height } = this.canvas;
    this.drag.moved = true;
    if (this.drag.kind === "place") {
      row[1] = (px - width / 2) / this.scale + this.middle[0];
      row[3] = (py - height / 2) / this.scale + this.middle[1];
    } else {
      const [x, y] = this.put([row[1], row[3]]);
      row[4] = this.turned(row[4], (Math.atan2(x - px, y - py) * 180) / Math.PI);
    }
    this.fill();
    this.draw();
  }

  // The angle that looks the same way and lies nearest to where the camera was: no spin between two keyframes.
  turned(from, to) {
    return to + 360 * Math.round((from - to) / 360);
  }

  up() {
    const drag = this.drag;
    this.drag = null;
    if (drag?.moved) this.send(this.rows);
  }

  cancel() {
    this.drag = null;
    this.show(this.card);
  }

  doubleClick(event) {
    if (this.card.locked || !this.card.path.length) return;
    const [px, py] = this.pointer(event),
      far = this.card.path.map((point) => {
        const [x, y] = this.put(point);
        return Math.hypot(x - px, y - py);
      });
    const nearest = far.indexOf(Math.min(...far));
    if (far[nearest] < 2 * MVStudio.Keyframes.REACH) this.addAt(nearest / (this.card.path.length - 1));
  }

  addAt(at) {
    const last = this.card.span[1] - this.card.span[0] - 1,
      there = this.rows.findIndex((row) => Math.round(row[0] * last) === Math.round(at * last));
    if (there >= 0) {
      this.choose(there);
      MVStudio.toast(`Keyframe ${there + 1} is on this frame already: it is chosen`);
      return;
    }
    this.edit({ op: "add_keyframe", id: this.card.id, at }).then((answer) => {
      if (answer.error) return;
      const after = this.rows.findIndex((row) => row[0] >= at - 1e-3);
      this.choose(after < 0 ? this.rows.length - 1 : after);
    });
  }

  aimAtPerformer() {
    const rows = this.rows.map((row) => [...row]),
      row = rows[this.chosen],
      [, x, y, z] = row;
    row[4] = this.turned(row[4], (Math.atan2(x, z) * 180) / Math.PI);
    row[5] = (Math.atan2(MVStudio.Keyframes.HEAD - y, Math.hypot(x, z)) * 180) / Math.PI;
    this.send(rows);
  }

  typed(index, column, input) {
    const [name] = MVStudio.Keyframes.COLUMNS[column],
      value = MVStudio.numberIn(input, `keyframe ${index + 1}, ${name}`, () => {
        input.value = this.shown(this.rows[index], column);
      });
    if (value === null) return;
    const rows = this.rows.map((row) => [...row]);
    rows[index][column] =
      column === 0 ? value / this.seconds : column === 7 ? value / MVStudio.Keyframes.FILM : value;
    this.send(rows);
  }

  send(rows) {
    return this.edit({ op: "set", ids: [this.card.id], fields: { keyframes: rows } });
  }

  // Python sorts and checks them; where it refuses, the numbers it has come back.
  async edit(op) {
    this.unanswered++;
    const answer = await MVStudio.link.edit(op);
    this.unanswered--;
    this.filled = "";
    const card = MVStudio.link.state.cards.get(this.card.id);
    if (card) this.show(card);
    return answer;
  }
};
