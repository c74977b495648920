// The timeline: what was heard on tiles of canvas, the shots as blocks without gap or overlap.
//
// Tiles and blocks lie in the scrolled element and are made when they come near the view: a scroll moves what is there
// and draws nothing twice, so that an hour of music scrolls as smoothly as a minute. A drag shows where it would lead;
// Python decides. Times are in seconds, frames are whole.
MVStudio.Timeline = class {
  static ROWS = { ruler: 20, sections: 20, wave: 66, words: 18, shots: 74 };
  static TILE = 256; // pixels
  static AHEAD = 2; // tiles beyond the view, either side
  static SLIVER = 6; // pixels: a narrower shot shows no pictures
  static NEAR = 9; // pixels within which a drag snaps
  static HUES = { intro: 210, verse: 165, chorus: 335, bridge: 265, drop: 15, break: 220, outro: 235 };

  constructor(stage) {
    const { h } = MVStudio;
    this.stage = stage;
    this.heard = h("div", { className: "mv-heard", "aria-hidden": "true" });
    this.bands = h("div", { className: "mv-bands", role: "list", "aria-label": "Sections" });
    this.blocks = h("div", {
      className: "mv-shots",
      role: "listbox",
      "aria-label": "Shots",
      "aria-multiselectable": "true",
    });
    this.guide = h("div", { className: "mv-guide", hidden: true }, h("span"));
    this.playhead = h("div", { className: "mv-playhead", "data-testid": "playhead" });
    this.slot = h("div", { className: "mv-slot", hidden: true });
    this.inner = h(
      "div",
      { className: "mv-inner" },
      this.heard,
      this.bands,
      this.blocks,
      this.slot,
      this.guide,
      this.playhead,
    );
    this.scroller = h(
      "div",
      { className: "mv-scroller", tabIndex: -1, role: "group", "aria-label": "Music and shots" },
      this.inner,
    );
    this.song = h("canvas");
    this.frame = h("i", { className: "mv-map-frame" });
    this.mark = h("i", { className: "mv-map-mark" });
    this.map = h("div", { className: "mv-map", "aria-hidden": "true" }, this.song, this.mark, this.frame);
    this.said = h("div", { className: "mv-said", role: "status" });
    this.element = h(
      "section",
      {
        className: "mv-timeline",
        tabIndex: 0,
        role: "application",
        "aria-label": "Timeline: arrows move, Tab chooses the next shot, question mark lists the keys",
        "data-testid": "timeline",
      },
      this.scroller,
      this.map,
      this.said,
    );
    this.tiles = new Map();
    this.left = this.view = 0;
    this.nodes = new Map();
    this.spare = [];
    this.selected = [];
    this.anchor = null;
    this.scale = 0;
    this.snapping = true;
    this.drag = null;
    this.levels = [];
    this.onselect = () => {};
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => this.down(event));
    this.element.addEventListener("pointermove", (event) => this.move(event));
    this.element.addEventListener("pointerup", (event) => this.up(event));
    this.element.addEventListener("pointercancel", () => this.cancel());
    this.element.addEventListener("dblclick", (event) => this.doubleClick(event));
    this.resizes = new ResizeObserver(() => {
      this.view = this.scroller.clientWidth;
      if (this.fitted) this.fit();
      else this.later();
    });
    this.resizes.observe(this.scroller);
    this.themes = new MutationObserver(() => this.later());
    for (const node of [document.documentElement, document.body])
      this.themes.observe(node, { attributeFilter: ["class"] });
    this.onseek = () => this.follow();
    stage.listeners.add(this.onseek);
  }

  close() {
    this.resizes.disconnect();
    this.themes.disconnect();
    this.stage.listeners.delete(this.onseek);
  }

  get link() {
    return MVStudio.link;
  }
  get music() {
    return this.link.state.music;
  }
  get fps() {
    return this.link.state.head.fps;
  }
  get duration() {
    return this.link.state.head.frames / this.fps;
  }
  x(frame) {
    return (frame / this.fps) * this.scale;
  }
  frameAt(x) {
    return Math.round((x / this.scale) * this.fps);
  }
  get rows() {
    const { ROWS } = MVStudio.Timeline,
      words = this.music.lyrics.length ? ROWS.words : 0;
    const sections = ROWS.ruler,
      wave = sections + ROWS.sections,
      lyrics = wave + ROWS.wave,
      shots = lyrics + words + 2;
    return { sections, wave, lyrics, words, shots, height: shots + ROWS.shots + 2 };
  }

  // ---------------------------------------------------------------- what is there

  refresh(what) {
    if (!this.link.state.head || !this.music) return;
    if (what === "peaks" || (this.link.state.hasPeaks && this.peaksOf !== this.link.state.head.peaks))
      this.fetchPeaks();
    const known = new Set(this.link.state.order);
    this.selected = this.selected.filter((id) => known.has(id));
    if (!this.scale || this.openedProject !== this.link.state.project) {
      this.openedProject = this.link.state.project;
      this.fit();
    }
    if (what === "plan") this.preview = null;
    this.later();
  }

  async fetchPeaks() {
    const { peaks } = this.link.state.head;
    this.peaksOf = peaks;
    const answer = await fetch(peaks);
    if (!answer.ok || peaks !== this.link.state.head.peaks) return;
    // Level k holds the largest of 4^k peaks: any zoom reads about one value a pixel.
    this.levels = [new Uint8Array(await answer.arrayBuffer())];
    while (this.levels[this.levels.length - 1].length > 256) {
      const fine = this.levels[this.levels.length - 1],
        coarse = new Uint8Array(Math.ceil(fine.length / 4));
      for (let i = 0; i < fine.length; i++) if (fine[i] > coarse[i >> 2]) coarse[i >> 2] = fine[i];
      this.levels.push(coarse);
    }
    this.later();
  }

  select(ids, anchor = ids[ids.length - 1]) {
    this.selected = ids;
    this.anchor = anchor ?? null;
    this.onselect();
    this.later();
    const index = this.link.state.order.indexOf(this.anchor);
    this.said.textContent = ids.length > 1 ? `${ids.length} shots selected` : index < 0 ? "" : this.labelOf(this.link.shots[index], index);
  }

  shotsNow() {
    const shots = this.link.shots;
    if (!this.preview) return shots;
    const { index, frame } = this.preview;
    return shots.map((card, i) =>
      i === index - 1 ? { ...card, end: frame } : i === index ? { ...card, start: frame } : card,
    );
  }

  // ---------------------------------------------------------------- zoom and scroll

  get fitScale() {
    return Math.max(0.2, (this.view - 2) / this.duration);
  }

  fit() {
    this.scale = this.fitScale;
    this.fitted = true;
    this.layOut();
    this.scrollTo(0);
    this.later();
  }

  zoom(factor, at = this.stage.now * this.scale - this.left) {
    const keep = at >= 0 && at <= this.view ? at : this.view / 2,
      time = (this.left + keep) / this.scale;
    this.scale = Math.max(this.fitScale, Math.min(400, this.scale * factor));
    this.fitted = this.scale === this.fitScale;
    this.layOut();
    this.scrollTo(time * this.scale - keep);
    this.later();
  }

  get width() {
    return Math.ceil(this.duration * this.scale);
  }

  layOut() {
    const { height, shots } = this.rows,
      size = `${this.width} ${height} ${shots}`;
    if (this.size === size) return;
    this.size = size;
    this.inner.style.width = `${this.width}px`;
    this.inner.style.height = `${height}px`;
    this.blocks.style.top = `${shots}px`;
  }

  scrollTo(x) {
    this.scroller.scrollLeft = x;
    this.left = Math.max(0, Math.min(x, this.width - this.view));
  }

  scrolled() {
    this.left = this.scroller.scrollLeft;
    this.drawNear();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * 0.003), event.clientX - this.scroller.getBoundingClientRect().left);
  }

  // Keep the playhead in view while it plays.
  follow() {
    const x = this.stage.now * this.scale;
    this.placePlayhead();
    if (this.stage.playing && !this.drag && (x < this.left || x > this.left + this.view - 30)) this.scrollTo(x - 60);
    if (this.current !== this.stage.index) {
      this.current = this.stage.index;
      this.later();
    }
  }

  placePlayhead() {
    this.playhead.style.transform = `translateX(${this.stage.now * this.scale}px)`;
    this.mark.style.transform = `translateX(${(this.stage.now / this.duration) * this.view}px)`;
  }

  show(frame) {
    const x = this.x(frame);
    if (x < this.left || x > this.left + this.view - 40) this.scrollTo(x - this.view / 3);
  }

  // ---------------------------------------------------------------- drawing

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  // Everything anew that looks otherwise than it is.
  draw() {
    if (!this.link.state.head || !this.music || !this.element.isConnected) return;
    this.colors();
    this.layOut();
    this.placePlayhead();
    this.near = null;
    this.shown = this.shotsNow();
    for (const tile of this.tiles.values()) tile.current = false;
    this.drawBands();
    this.drawNear();
    this.drawMap();
  }

  // The tiles and blocks in and near the view; nothing where they are there already.
  drawNear() {
    const { TILE, AHEAD } = MVStudio.Timeline;
    if (!this.shown) return;
    this.frame.style.transform = `translateX(${(this.left / this.width) * this.view}px)`;
    const first = Math.max(0, Math.floor(this.left / TILE) - AHEAD),
      last = Math.min(Math.ceil(this.width / TILE), Math.ceil((this.left + this.view) / TILE) + AHEAD);
    if (this.near?.first === first && this.near.last === last) return;
    this.near = { first, last };
    const rows = this.rows;
    for (const [index, tile] of this.tiles) {
      if (index >= first && index < last) continue;
      this.tiles.delete(index);
      tile.remove();
    }
    for (let index = first; index < last; index++) this.drawTile(index, rows);
    this.drawBlocks(first * TILE, last * TILE);
  }

  drawTile(index, rows) {
    const { TILE } = MVStudio.Timeline,
      left = index * TILE,
      colors = this.palette;
    let tile = this.tiles.get(index);
    if (tile?.current) return;
    if (!tile) {
      tile = MVStudio.h("canvas");
      tile.style.left = `${left}px`;
      this.tiles.set(index, tile);
      this.heard.append(tile);
    }
    tile.current = true;
    const cards = this.cardsBetween(left, left + TILE),
      rest = [this.scale, rows.height, this.music, this.levels, colors, this.section?.index, this.section?.time],
      looks = [...rest, ...cards.flatMap((card) => [card.start, card.end, card.take, this.picturesOf(card)])];
    if (tile.looks?.length === looks.length && tile.looks.every((one, i) => one === looks[i])) return;
    tile.looks = looks;
    const pen = this.sized(tile, TILE, rows.height);
    this.drawTints(pen, rows, left, TILE);
    this.drawBeats(pen, rows, left, TILE, colors);
    this.drawWave(pen, rows, left, TILE, colors);
    this.drawRuler(pen, left, TILE, colors);
    this.drawLyrics(pen, rows, left, TILE, colors);
    for (const card of cards) this.drawThumbs(pen, rows, left, TILE, card);
  }

  // The shots that are to be seen between two places, pixels.
  cardsBetween(left, right) {
    const cards = [];
    for (let i = MVStudio.shotAt(this.shown, this.frameAt(left - 2)); i < this.shown.length; i++) {
      if (this.x(this.shown[i].start) > right + 2) break;
      cards.push(this.shown[i]);
    }
    return cards;
  }

  picturesOf(card) {
    if (this.x(card.end - card.start) < MVStudio.Timeline.SLIVER) return null;
    return MVStudio.sheets.thumbs(card, () => this.soon());
  }

  // Pictures come one by one: not a drawing for each.
  soon() {
    this.coming ||= setTimeout(() => {
      this.coming = null;
      this.later();
    }, 80);
  }

  // Read from the theme when something changed or the theme did, not for every picture of a scroll.
  colors() {
    const dark = document.querySelector(".dark") !== null;
    if (this.palette?.dark === dark) return this.palette;
    const style = getComputedStyle(this.element),
      value = (name, other) => style.getPropertyValue(name).trim() || other;
    this.palette = {
      ink: value("--body-text-color", "#222"),
      faint: value("--body-text-color-subdued", "#888"),
      wave: value("--mv-wave", "#7483a8"),
      energy: value("--mv-energy", "#d97706"),
      line: value("--border-color-primary", "#ccc"),
      accent: value("--primary-500", "#e11d48"),
      dark,
    };
    return this.palette;
  }

  sized(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }

  sectionSpans() {
    return this.music.sections.map(([start, end, label], index) => ({
      start: this.section?.index === index ? this.section.time : start,
      end: this.section?.index === index + 1 ? this.section.time : end,
      label,
      hue: MVStudio.Timeline.HUES[label] ?? 0,
    }));
  }

  // Elements, so that a name stays in view while its section does.
  drawBands() {
    const looks = [this.scale, this.music, this.section?.index, this.section?.time];
    if (this.bandsOf?.every((one, i) => one === looks[i])) return;
    this.bandsOf = looks;
    const spans = this.sectionSpans();
    while (this.bands.children.length > spans.length) this.bands.lastChild.remove();
    while (this.bands.children.length < spans.length)
      this.bands.append(MVStudio.h("div", { role: "listitem" }, MVStudio.h("span")));
    spans.forEach(({ start, end, label, hue }, index) => {
      const node = this.bands.children[index],
        width = Math.max(1, (end - start) * this.scale - 1);
      node.style.left = `${start * this.scale}px`;
      node.style.width = `${width}px`;
      node.style.background = `hsl(${hue} 45% 34%)`;
      node.firstChild.textContent = width < 16 ? "" : width < 9 * label.length ? label[0] : label;
      node.setAttribute("aria-label", `${label} from ${MVStudio.clock(start)} to ${MVStudio.clock(end)}`);
    });
  }

  drawTints(pen, rows, left, view) {
    for (const { start, end, hue } of this.sectionSpans()) {
      const a = start * this.scale - left,
        b = end * this.scale - left;
      if (b < 0 || a > view) continue;
      pen.fillStyle = `hsl(${hue} 60% 50% / ${this.palette.dark ? 0.14 : 0.1})`;
      pen.fillRect(a, rows.wave, b - a - 1, MVStudio.Timeline.ROWS.wave);
    }
  }

  drawBeats(pen, rows, left, view, colors) {
    const { beats, downbeats } = this.music;
    if (this.beatsOf !== this.music) {
      this.beatsOf = this.music;
      this.strongBeats = new Set(downbeats);
    }
    if (beats.length < 2) return;
    const apart = ((beats[beats.length - 1] - beats[0]) / (beats.length - 1)) * this.scale;
    const bar = apart * (downbeats.length > 1 ? downbeats[1] - downbeats[0] : 4);
    if (bar < 3) return;
    for (let i = this.firstAfter(beats, left / this.scale); i < beats.length; i++) {
      const x = beats[i] * this.scale - left,
        down = this.strongBeats.has(i);
      if (x > view) break;
      if (!down && apart < 6) continue;
      pen.fillStyle = down
        ? colors.dark
          ? "rgb(255 255 255 / .34)"
          : "rgb(15 23 42 / .3)"
        : colors.dark
          ? "rgb(255 255 255 / .13)"
          : "rgb(15 23 42 / .11)";
      pen.fillRect(Math.round(x), rows.wave + (down ? 0 : 6), 1, MVStudio.Timeline.ROWS.wave - (down ? 0 : 12));
    }
  }

  firstAfter(times, time) {
    let low = 0,
      high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  drawWave(pen, rows, left, view, colors) {
    const middle = rows.wave + MVStudio.Timeline.ROWS.wave / 2,
      half = MVStudio.Timeline.ROWS.wave / 2 - 4;
    if (this.levels.length) {
      const perSecond = 100,
        level = Math.max(
          0,
          Math.min(this.levels.length - 1, Math.floor(Math.log(perSecond / this.scale) / Math.log(4))),
        );
      const peaks = this.levels[level],
        rate = perSecond / 4 ** level;
      pen.fillStyle = colors.wave;
      pen.beginPath();
      for (let x = 0; x < view; x++) {
        const first = Math.floor(((x + left) / this.scale) * rate),
          last = Math.max(first + 1, Math.floor(((x + 1 + left) / this.scale) * rate));
        let top = 0;
        for (let k = first; k < last && k < peaks.length; k++) if (peaks[k] > top) top = peaks[k];
        const reach = Math.max(0.5, (top / 255) * half);
        pen.rect(x, middle - reach, 1, 2 * reach);
      }
      pen.fill();
    }
    const { energy } = this.music,
      step = 2;
    pen.strokeStyle = colors.energy;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (let x = -step; x <= view + step; x += step) {
      const at = Math.max(0, Math.min(energy.length - 1, ((x + left) / this.scale) * 4)),
        i = Math.floor(at),
        part = at - i;
      const value = energy[i] * (1 - part) + (energy[i + 1] ?? energy[i]) * part;
      const y = rows.wave + MVStudio.Timeline.ROWS.wave - 4 - value * (MVStudio.Timeline.ROWS.wave - 8);
      if (x < 0) pen.moveTo(x, y);
      else pen.lineTo(x, y);
    }
    pen.stroke();
  }

  drawRuler(pen, left, view, colors) {
    const step = [0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => s * this.scale >= 70) || 600;
    pen.font = "11px ui-monospace, monospace";
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    const first = Math.max(0, Math.floor((left - 70) / this.scale / step)); // the words of the tile before reach into this
    for (let t = first * step; t * this.scale - left < view; t += step) {
      const x = t * this.scale - left;
      pen.fillStyle = colors.line;
      pen.fillRect(Math.round(x), 12, 1, 8);
      pen.fillStyle = colors.faint;
      pen.fillText(MVStudio.clock(t, step < 1 ? 2 : 0), x + 3, 9);
    }
  }

  drawLyrics(pen, rows, left, view, colors) {
    if (!rows.words) return;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (const [start, end, text] of this.music.lyrics) {
      const a = start * this.scale - left,
        b = end * this.scale - left;
      if (b < 0 || a > view) continue;
      pen.save();
      pen.beginPath();
      pen.rect(a, rows.lyrics, Math.max(8, b - a - 2), rows.words);
      pen.clip();
      pen.fillStyle = colors.dark ? "rgb(255 255 255 / .07)" : "rgb(15 23 42 / .06)";
      pen.fillRect(a, rows.lyrics + 1, b - a - 2, rows.words - 2);
      pen.fillStyle = colors.ink;
      pen.fillText(text, a + 4, rows.lyrics + rows.words / 2 + 0.5);
      pen.restore();
    }
  }

  // The pictures are on the tiles, the frames with their words are elements over them; those out of view are used again.
  drawBlocks(left, right) {
    const shots = this.shown,
      first = MVStudio.shotAt(shots, this.frameAt(left)),
      wanted = new Set();
    let last = first;
    while (last < shots.length && this.x(shots[last].start) < right) wanted.add(shots[last++].id);
    for (const [id, node] of this.nodes) {
      if (wanted.has(id)) continue;
      this.nodes.delete(id);
      this.spare.push(node);
    }
    for (let index = first; index < last; index++) this.drawBlock(shots[index], index);
    for (const node of this.spare) if (!node.hidden) node.hidden = true;
  }

  drawBlock(card, index) {
    let node = this.nodes.get(card.id);
    if (!node) {
      node = this.spare.pop() || this.newBlock();
      node.hidden = false;
      node.looks = null;
      node.dataset.id = card.id;
      node.dataset.testid = `shot-${card.id}`;
      this.nodes.set(card.id, node);
    }
    const state = this.link.state,
      x = Math.round(this.x(card.start)),
      width = Math.max(2, Math.round(this.x(card.end)) - x);
    const [work, share] = state.progress[card.id] || [],
      chosen = this.selected.includes(card.id);
    const looks = [card, x, width, index, chosen, this.current === index, work, share, this.music, state.order.length];
    if (node.looks?.every((one, i) => one === looks[i])) return;
    node.looks = looks;
    node.style.left = `${x}px`;
    node.style.width = `${width}px`;
    node.dataset.index = index;
    node.dataset.start = card.start;
    node.dataset.end = card.end;
    node.className = [
      "mv-shot",
      chosen && "selected",
      card.locked && "locked",
      this.current === index && "current",
      card.take ? "taken" : "sketched",
      work,
    ]
      .filter(Boolean)
      .join(" ");
    node.setAttribute("aria-selected", String(chosen));
    node.setAttribute("aria-posinset", index + 1);
    node.setAttribute("aria-setsize", state.order.length);
    node.setAttribute("aria-label", this.labelOf(card, index));
    node.title = card.prompt;
    node.words.textContent = `${index + 1} ${card.size} · ${MVStudio.wayOf(card)}`;
    node.mark.textContent = [card.locked && "locked", card.take && "●"].filter(Boolean).join(" ");
    node.bar.style.width = work === "running" ? `${share * 100}%` : "0";
  }

  // A shot in words, for those who hear the page.
  labelOf(card, index) {
    const [work, share] = this.link.state.progress[card.id] || [],
      label = this.music.sections[card.section]?.[2] || "",
      rendering = work === "running" ? `rendering ${Math.round(share * 100)} %` : work === "failed" ? "failed" : "";
    const times = `${MVStudio.clock(card.start / this.fps)} to ${MVStudio.clock(card.end / this.fps)}`,
      made = rendering || (card.take ? "rendered" : "animatic");
    return [`Shot ${index + 1}`, label, times, card.size, MVStudio.wayOf(card), made, card.locked && "locked"]
      .filter(Boolean)
      .join(", ");
  }

  newBlock() {
    const { h } = MVStudio;
    const words = h("span", { className: "mv-words" }),
      mark = h("span", { className: "mv-mark" }),
      bar = h("i", { className: "mv-bar" });
    const node = h("div", { className: "mv-shot", role: "option" }, words, mark, bar, h("i", { className: "mv-handle" }));
    Object.assign(node, { words, mark, bar });
    this.blocks.append(node);
    return node;
  }

  // A shot's frames side by side, each of the moment it stands at; those of a mere sketch are paler, and those that are
  // being drawn anew are dim.
  drawThumbs(pen, rows, left, view, card) {
    const row = this.picturesOf(card);
    const start = Math.round(this.x(card.start)) - left,
      width = Math.max(2, Math.round(this.x(card.end)) - left - start);
    pen.fillStyle = "#222836";
    pen.fillRect(start, rows.shots, width - 1, MVStudio.Timeline.ROWS.shots - 2);
    if (!row) return;
    const tiles = Math.ceil(width / row.frame),
      height = row.canvas.height;
    const [first, stop] = row.stale ? this.link.state.before.get(card.id).span : card.span;
    pen.globalAlpha = row.stale ? 0.3 : row.taken ? 1 : 0.8;
    for (let tile = Math.max(0, Math.floor(-start / row.frame)); tile < tiles; tile++) {
      const x = start + tile * row.frame,
        shown = Math.min(row.frame, start + width - 1 - x),
        frame = card.start + ((tile + 0.5) / tiles) * (card.end - card.start),
        k = Math.max(0, Math.min(row.count - 1, Math.floor(((frame - first) / (stop - first)) * row.count)));
      if (x > view || shown <= 0) break;
      pen.drawImage(row.canvas, k * row.frame, 0, shown, height, x, rows.shots, shown, height);
    }
    pen.globalAlpha = 1;
  }

  // The whole song small; a scroll only moves the frame over it.
  drawMap() {
    this.map.hidden = this.scale <= this.fitScale * 1.001;
    if (this.map.hidden) return;
    const width = this.view,
      height = 24,
      k = width / this.duration;
    this.frame.style.width = `${Math.max(6, (this.view / this.width) * this.view)}px`;
    const looks = [this.music, width, this.palette];
    if (this.mapOf?.every((one, i) => one === looks[i])) return;
    this.mapOf = looks;
    const pen = this.sized(this.song, width, height),
      { energy, sections } = this.music;
    for (const [start, end, label] of sections) {
      pen.fillStyle = `hsl(${MVStudio.Timeline.HUES[label] ?? 0} 45% 50% / .45)`;
      pen.fillRect(start * k, 2, (end - start) * k - 1, height - 4);
    }
    pen.fillStyle = this.palette.wave;
    for (let x = 0; x < width; x += 2) {
      const value = energy[Math.min(energy.length - 1, Math.floor((x / k) * 4))] * (height - 8);
      pen.fillRect(x, height - 4 - value, 1, value);
    }
  }

  // ---------------------------------------------------------------- the pointer

  place(event) {
    const box = this.inner.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  // The edge of a section within reach of x, if any.
  edgeAt(x) {
    let best = null;
    this.music.sections.forEach(([start], index) => {
      const far = Math.abs(start * this.scale - x);
      if (index && far < 6 && (!best || far < best.far)) best = { index, far };
    });
    return best?.index;
  }

  down(event) {
    if (event.button || !this.music) return;
    if (this.map.contains(event.target)) {
      this.drag = { kind: "map" };
      this.element.setPointerCapture(event.pointerId);
      this.scrollMap(event);
      return;
    }
    const { x, y } = this.place(event),
      rows = this.rows,
      node = event.target.closest?.(".mv-shot");
    this.element.focus({ preventScroll: true });
    if (event.target.classList.contains("mv-handle") && node) this.downHandle(Number(node.dataset.index));
    else if (node)
      this.drag = {
        kind: "shot",
        id: node.dataset.id,
        index: Number(node.dataset.index),
        x,
        touch: event.pointerType === "touch",
      };
    else if (y >= rows.sections && y < rows.wave && this.edgeAt(x) !== undefined)
      this.drag = { kind: "section", index: this.edgeAt(x), x };
    else if (y < rows.shots) {
      this.drag = { kind: "scrub" };
      this.stage.seek(x / this.scale);
    }
    if (this.drag && !this.drag.touch) this.element.setPointerCapture(event.pointerId);
  }

  downHandle(index) {
    const shots = this.link.shots,
      before = shots[index - 1],
      after = shots[index];
    if (!before) return;
    const locked = [before, after].findIndex((card) => card.locked);
    if (locked >= 0) {
      MVStudio.toast(`Shot ${index + locked} is locked; unlock it first (Shift+L)`);
      return;
    }
    this.drag = {
      kind: "boundary",
      index,
      id: after.id,
      low: before.start + 1,
      high: after.end - 1,
      frame: after.start,
      from: after.start,
    };
  }

  move(event) {
    if (!this.drag) {
      this.hover(event);
      return;
    }
    const { x } = this.place(event),
      drag = this.drag;
    if (drag.kind === "scrub") this.stage.seek(x / this.scale);
    else if (drag.kind === "map") this.scrollMap(event);
    else if (drag.kind === "boundary") {
      const snap = this.snap(x, event.altKey, drag.low, drag.high);
      drag.frame = snap.frame;
      this.preview = { index: drag.index, frame: snap.frame };
      this.showGuide(snap.frame / this.fps, `${MVStudio.clock(snap.frame / this.fps)} ${snap.on || ""}`, snap.on);
      this.stage.seekFrame(snap.frame);
      this.later();
    } else if (drag.kind === "section") {
      drag.moved ||= Math.abs(x - drag.x) > 2;
      if (!drag.moved) return;
      const snap = this.snapMusic(x, event.altKey);
      this.section = { index: drag.index, time: snap.time };
      this.showGuide(snap.time, `${MVStudio.clock(snap.time)} ${snap.on || ""}`, snap.on);
      this.later();
    } else if (drag.kind === "shot" && !drag.touch) this.dragShot(x);
  }

  hover(event) {
    if (!this.music) return;
    const { x, y } = this.place(event),
      rows = this.rows;
    const edge = y >= rows.sections && y < rows.wave && this.edgeAt(x) !== undefined;
    this.scroller.style.cursor = edge ? "ew-resize" : "";
  }

  dragShot(x) {
    const drag = this.drag;
    drag.moved ||= Math.abs(x - drag.x) > 8;
    if (!drag.moved) return;
    const shots = this.link.shots;
    drag.to = MVStudio.shotAt(shots, this.frameAt(x));
    const target = shots[drag.to];
    this.slot.hidden = drag.to === drag.index;
    this.slot.style.left = `${this.x(target.start)}px`;
    this.slot.style.width = `${this.x(target.end - target.start)}px`;
    this.slot.style.top = `${this.rows.shots}px`;
    this.nodes.get(drag.id)?.classList.add("dragged");
  }

  up(event) {
    const drag = this.drag;
    this.cancel(true);
    if (!drag) return;
    if (drag.kind === "boundary" && drag.frame !== drag.from) {
      this.link.edit({ op: "move_boundary", id: drag.id, frame: drag.frame });
    } else if (drag.kind === "section" && drag.moved && this.section) {
      this.link.edit({ op: "move_section", index: drag.index, time: this.section.time }).then(() => {
        this.section = null;
        this.later();
      });
    } else if (drag.kind === "shot") {
      if (drag.moved && drag.to !== drag.index) this.link.edit({ op: "reorder", id: drag.id, to: drag.to });
      else if (!drag.moved) this.click(drag, event);
    }
  }

  cancel(keepPreview = false) {
    if (this.drag?.kind === "shot") this.nodes.get(this.drag.id)?.classList.remove("dragged");
    this.drag = null;
    this.guide.hidden = this.slot.hidden = true;
    if (!keepPreview) {
      this.preview = this.section = null;
      this.later();
    }
  }

  click(drag, event) {
    const order = this.link.state.order;
    if (event.shiftKey && this.anchor) {
      const [a, b] = [order.indexOf(this.anchor), drag.index].sort((one, other) => one - other);
      this.select(order.slice(a, b + 1), this.anchor);
    } else if (event.ctrlKey || event.metaKey) {
      const there = this.selected.includes(drag.id);
      this.select(there ? this.selected.filter((id) => id !== drag.id) : [...this.selected, drag.id], drag.id);
    } else {
      this.select([drag.id]);
      this.link.ask("look", { id: drag.id });
      if (!this.stage.playing)
        this.stage.seekFrame(Math.round(drag.x ? this.frameAt(drag.x) : this.link.shots[drag.index].start));
    }
  }

  doubleClick(event) {
    if (!this.music) return;
    const { x, y } = this.place(event),
      rows = this.rows;
    if (y >= rows.sections && y < rows.wave)
      this.onmusic?.(this.music.sections.findIndex(([start, end]) => x >= start * this.scale && x < end * this.scale));
  }

  scrollMap(event) {
    const box = this.map.getBoundingClientRect(),
      share = (event.clientX - box.left) / box.width;
    this.scrollTo(share * this.width - this.view / 2);
  }

  showGuide(time, words, strong) {
    this.guide.hidden = false;
    this.guide.style.transform = `translateX(${time * this.scale}px)`;
    this.guide.firstChild.textContent = words;
    this.guide.dataset.on = strong || "";
  }

  // ---------------------------------------------------------------- snapping

  // Every place a cut likes to be, with its strength: of two within reach the stronger one, where about as near.
  candidates() {
    const { beats, sections } = this.music;
    const strong = this.strongBeats || new Set(this.music.downbeats);
    const all = sections.slice(1).map(([start]) => [start, "section", 3]);
    beats.forEach((beat, i) => all.push([beat, strong.has(i) ? "downbeat" : "beat", strong.has(i) ? 2 : 1]));
    return all;
  }

  nearest(x, usable) {
    let best = null;
    for (const [time, on, strength] of this.candidates()) {
      const far = Math.abs(time * this.scale - x);
      if (far > MVStudio.Timeline.NEAR || !usable(time)) continue;
      const cost = far - 2 * strength;
      if (!best || cost < best.cost) best = { time, on, cost };
    }
    return best;
  }

  // To a frame always; to the music while snapping is on and Alt is not held.
  snap(x, free, low, high) {
    const inside = (frame) => Math.max(low, Math.min(high, frame));
    const onFrame = (time) => Math.floor(time * this.fps + 0.5);
    const best =
      this.snapping && !free ? this.nearest(x, (time) => onFrame(time) >= low && onFrame(time) <= high) : null;
    return best ? { frame: onFrame(best.time), on: best.on } : { frame: inside(this.frameAt(x)) };
  }

  snapMusic(x, free) {
    const best =
      this.snapping && !free ? this.nearest(x, (time) => !this.music.sections.some(([start]) => start === time)) : null;
    return best ? { time: best.time, on: best.on } : { time: Math.max(0, x / this.scale) };
  }

  // The next beat after a frame, in a direction; frames where nothing snaps.
  nudged(frame, direction, onBeat) {
    if (!onBeat) return frame + direction;
    const frames = this.music.beats.map((beat) => Math.floor(beat * this.fps + 0.5));
    return direction > 0 ? frames.find((one) => one > frame) : frames.reverse().find((one) => one < frame);
  }
};
