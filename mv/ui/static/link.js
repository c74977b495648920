// What Python has told the page, and the way back. One global name: MVStudio.
//
// Python sends parts of the plan with numbers (mv/ui/desk.py); the page says which number it knows. `edit` is for what
// undo takes back, `ask` for everything else: posts to mv/ui/routes.py, edits one after the other and in order. An edit
// whose outcome is plain is shown before it is answered (`guesses`); the answer is what counts. Nothing of the user's is
// ever put into markup: text goes in as text.
window.MVStudio = {};

MVStudio.link = (() => {
  const POLL = 500; // ms between two looks while something goes on
  const fresh = () => ({
    project: "",
    number: -1,
    seen: {},
    head: null,
    music: null,
    order: [],
    list: [],
    cards: new Map(),
    drawn: new Set(),
    before: new Map(), // shot → the sheet that was to be seen before its last edit: {strip, span, sketches}
    hasPeaks: false,
    job: { state: "", open: false, words: "", left: "", progress: 0 },
    progress: {},
  });
  const link = {
    state: fresh(),
    latencies: [],
    seq: 0,
    pending: new Map(), // seq → what was sent and nobody has answered
    queue: [], // edits that wait for the one under way
    listeners: new Set(),

    // The shots in the film's order.
    get shots() {
      return this.state.list;
    },

    on(listener) {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },

    tell(what) {
      for (const listener of this.listeners) listener(what);
    },

    // Send an edit; resolves with its answer. op: see mv/ui/operations.py.
    edit(op) {
      if (!this.state.project) return Promise.resolve({ error: "no project is open" });
      const seq = ++this.seq,
        project = this.state.project;
      const answered = this.promise(seq, { op });
      this.queue.push({ project, edit: { ...op, seq } });
      this.sendEdits(); // on its way before the page draws what it will be
      if (this.guess()) this.tell("plan");
      return answered;
    },

    promise(seq, waiting) {
      waiting.since = performance.now();
      waiting.promise = new Promise((resolve) => {
        waiting.resolve = resolve;
      });
      this.pending.set(seq, waiting);
      return waiting.promise;
    },

    async sendEdits() {
      if (this.sending || !this.queue.length) return;
      this.sending = true;
      const { project } = this.queue[0],
        other = this.queue.findIndex((one) => one.project !== project),
        edits = this.queue.splice(0, other < 0 ? this.queue.length : other).map((one) => one.edit);
      const near = MVStudio.stage ? MVStudio.stage.index : 0,
        answer = await this.post("edit", { project, number: this.state.number, near, edits });
      this.sending = false;
      for (const { seq } of edits) this.pending.get(seq).answered = true;
      answer.acks ||= edits.map(({ seq }) => ({ seq, error: answer.error }));
      this.receive({ ...answer, project });
      for (const { seq, error } of answer.acks) this.settle(seq, { ...answer, error });
      this.sendEdits();
    },

    // Asked after every edit before it has been answered: a rendering is of the plan as the user sees it.
    async ask(what, fields = {}) {
      const { project } = this.state;
      if (!project) return { error: "no project is open" };
      const edits = [...this.pending.values()].filter((one) => one.op).map((one) => one.promise),
        seq = ++this.seq;
      this.promise(seq, {});
      await Promise.all(edits);
      const answer = await this.post("ask", { ask: what, ...fields, seq, project, number: this.state.number });
      this.receive(answer);
      this.settle(seq, answer);
      return answer;
    },

    async post(what, message) {
      try {
        const answer = await fetch(`mv/${what}`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(message),
        });
        if (answer.status === 401) location.reload(); // the password is asked for again
        return await answer.json();
      } catch {
        return { error: "The studio does not answer. Is it still running? Your last change may be lost." };
      }
    },

    settle(seq, answer) {
      const waiting = this.pending.get(seq);
      if (!waiting) return;
      this.pending.delete(seq);
      if (waiting.op) this.latencies.push(performance.now() - waiting.since);
      waiting.resolve(answer);
      if (answer.error) MVStudio.toast(answer.error);
    },

    // Look for news as long as something goes on.
    watch() {
      this.again = true;
      this.timer ||= setTimeout(async () => {
        const { project, seen } = this.state;
        this.again = false;
        const news = await this.post("news", { project, seen });
        this.timer = null;
        if (news.error && news.error !== this.fault) MVStudio.toast(news.error); // once: it is tried again
        this.fault = news.error;
        if (news.error) this.watch();
        else if (project === this.state.project) this.receive(news);
        if (this.again) this.watch();
      }, POLL);
    },

    receive(message) {
      if (!message || typeof message !== "object") return;
      if (message.opened && message.project !== this.state.project) {
        this.state = { ...fresh(), project: message.project };
        this.tell("opened");
      }
      if (message.project && message.project !== this.state.project) return;
      if (message.plan && message.plan.project !== this.state.project) return;
      const told = new Set();
      if (message.seen) this.state.seen = message.seen;
      if (message.job) {
        this.state.job = message.job;
        told.add("job");
      }
      if (message.progress) {
        this.state.progress = message.progress;
        told.add("progress");
      }
      if (message.plan?.number > this.state.number) this.remember(message.plan.shots);
      if (message.strips) {
        this.state.drawn = new Set(message.strips);
        told.add("strips");
      }
      for (const strip of message.drawn || []) this.state.drawn.add(strip);
      if (message.peaks && !this.state.hasPeaks) {
        this.state.hasPeaks = true;
        told.add("peaks");
      }
      if (message.plan) this.receivePlan(message.plan, told);
      else if (message.acks && this.guess()) told.add("plan"); // refused: what was shown before is taken back
      for (const what of told) this.tell(what);
      if (message.busy ?? true) this.watch();
    },

    receivePlan(plan, told) {
      const state = this.state;
      if (plan.base > state.number) {
        this.ask("sync");
        return;
      }
      if (plan.number > state.number) {
        state.number = plan.number;
        state.seen = { ...state.seen, number: plan.number };
        if (plan.head) state.head = plan.head;
        if (plan.music) {
          state.music = plan.music;
          told.add("music");
        }
        for (const card of plan.shots) state.cards.set(card.id, card);
        if (plan.order) {
          state.order = plan.order;
          const known = new Set(plan.order);
          for (const id of state.cards.keys()) if (!known.has(id)) state.cards.delete(id);
          for (const id of state.before.keys()) if (!known.has(id)) state.before.delete(id);
        }
      } // else an answer that was overtaken
      this.guess();
      told.add("plan");
    },

    // What was last to be seen of a shot is shown until its new sheet is there; a new shot shows what was in its place.
    remember(shots) {
      const { cards, before, list } = this.state;
      for (const card of shots) {
        const old = cards.get(card.id) || list[MVStudio.shotAt(list, card.start)];
        if (!old || old.strip === card.strip) continue;
        const { strip, span, sketches } = old,
          seen = MVStudio.sheets.seen(strip) ? { strip, span, sketches } : before.get(old.id);
        if (seen) before.set(card.id, seen);
      }
    },

    // What the plan will be when the edits under way are done, as far as that is plain. True where there are any.
    guess() {
      const state = this.state;
      state.list = state.order.map((id) => state.cards.get(id)).filter(Boolean);
      let any = this.guessed;
      this.guessed = false;
      for (const { op, answered } of this.pending.values()) {
        if (op && !answered) this.guessed = this.foresee(op) || this.guessed;
      }
      return any || this.guessed;
    },

    foresee({ op, id, ids, frame, locked, fields }) {
      const { list } = this.state;
      const change = (index, what) => {
        list[index] = { ...list[index], ...what };
      };
      if (op === "move_boundary") {
        const at = list.findIndex((card) => card.id === id),
          [before, after] = [list[at - 1], list[at]];
        if (!before || before.locked || after.locked || frame <= before.start || frame >= after.end) return false;
        change(at - 1, { end: frame });
        change(at, { start: frame });
      } else if (op === "lock") {
        list.forEach((card, index) => ids.includes(card.id) && change(index, { locked }));
      } else if (op === "set" && typeof fields.prompt === "string") {
        const { prompt } = fields;
        list.forEach((card, index) => ids.includes(card.id) && !card.locked && change(index, { prompt }));
      } else return false;
      return true;
    },
  };
  return link;
})();

// A component without a picture of its own through which Python speaks.
MVStudio.wire = ({ props, watch }) => {
  watch("value", () => MVStudio.link.receive(props.value));
  MVStudio.link.receive(props.value);
};

// An element: properties, data and aria attributes, event handlers (on...), children; strings become text.
MVStudio.h = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

MVStudio.clock = (seconds, digits = 2) => {
  const whole = Math.max(0, seconds),
    minutes = Math.floor(whole / 60),
    rest = whole - 60 * minutes;
  return `${minutes}:${rest.toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
};

// The number typed into a field. What is none (letters, nothing, more than a number holds) is said, and `restore` puts
// back what was there; then null.
MVStudio.numberIn = (input, what, restore) => {
  const value = Number(input.value);
  if (input.value !== "" && Number.isFinite(value)) return value;
  const { min, max } = input,
    range = min !== "" && max !== "" ? ` from ${min} to ${max}` : min !== "" ? ` from ${min} on` : "";
  MVStudio.toast(`${what}: expected a number${range}; the old one is back`);
  input.value = "";
  restore();
  return null;
};

// The index of the shot that holds a frame; the last one at and after the end.
MVStudio.shotAt = (shots, frame) => {
  let low = 0,
    high = shots.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (shots[middle].start <= frame) low = middle;
    else high = middle - 1;
  }
  return low;
};

// The sheets of animatic frames: images for the stage, small copies for the timeline, where those of a take replace them
// as soon as there is one. While a shot's sheet is drawn anew
// the one before its edit stands in for it; it says so (stale).
MVStudio.sheets = (() => {
  const images = new Map(),
    thumbs = new Map(),
    broken = new Set(),
    asked = new Map(), // strip or key of a take → [card, those who wait for its small copy]
    THUMB = 52,
    TAKEN = 4, // frames of a take: each is looked for in its film
    IMAGES = 48,
    THUMBS = 700,
    AT_ONCE = 4;
  let loading = 0;
  const trim = (map, most) => {
    if (map.size > most) map.delete(map.keys().next().value);
  };
  // Frames are read and shrunk a few shots at a time, those asked for last first: they are in view.
  const load = async () => {
    const name = [...asked.keys()].findLast((one) => !asked.get(one).loading);
    if (!name || loading >= AT_ONCE) return;
    const job = asked.get(name),
      [card, waiting] = job;
    job.loading = true;
    loading++;
    try {
      thumbs.set(name, name === card.take ? await shrinkTake(card) : await shrinkSheet(card));
      trim(thumbs, THUMBS);
    } catch {
      broken.add(name); // swept away, or no picture: nothing is shown
    }
    loading--;
    asked.delete(name);
    for (const then of waiting) then();
    load();
  };
  // A row of `count` small frames of this shape, each put there by draw(pen, k, x, width).
  const row = async (count, aspect, draw) => {
    const canvas = document.createElement("canvas"),
      frame = Math.round(THUMB * aspect);
    canvas.width = frame * count;
    canvas.height = THUMB;
    for (let k = 0; k < count; k++) await draw(canvas.getContext("2d"), k, k * frame, frame);
    return { canvas, count, frame };
  };
  const shrinkSheet = async (card) => {
    const answer = await fetch(`${MVStudio.link.state.head.strips}${card.strip}.jpg`),
      sheet = await createImageBitmap(await answer.blob()),
      n = card.sketches,
      count = Math.min(8, n),
      [, , w, h] = sheets.cell(sheet, 0, n);
    const made = await row(count, w / h, (pen, k, to, width) => {
      const [x, y] = sheets.cell(sheet, Math.floor(((k + 0.5) * n) / count), n);
      pen.drawImage(sheet, x, y, w, h, to, 0, width, THUMB);
    });
    sheet.close();
    return made;
  };
  const shrinkTake = async (card) => {
    const video = MVStudio.h("video", { muted: true, preload: "auto" }),
      comes = (event) =>
        new Promise((resolve, reject) => {
          video.addEventListener(event, resolve, { once: true });
          video.addEventListener("error", reject, { once: true });
        });
    const loaded = comes("loadeddata");
    video.src = MVStudio.link.state.head.takes + card.takes.find((take) => take.key === card.take).file;
    await loaded;
    const made = await row(TAKEN, video.videoWidth / video.videoHeight, async (pen, k, to, width) => {
      const there = comes("seeked");
      video.currentTime = ((k + 0.5) / TAKEN) * video.duration;
      await there;
      pen.drawImage(video, to, 0, width, THUMB);
    });
    video.removeAttribute("src");
    video.load();
    return { ...made, taken: true };
  };
  const sheets = {
    seen(strip) {
      return thumbs.has(strip) || Boolean(images.get(strip)?.naturalWidth);
    },

    // {image, span, sketches, stale} of a shot, or null; calls back when there is a better one.
    of(card, then) {
      const own = sheets.image(card.strip, then),
        was = MVStudio.link.state.before.get(card.id);
      if (own) return { image: own, span: card.span, sketches: card.sketches, stale: false };
      const old = was && sheets.image(was.strip, then, true);
      return old ? { image: old, span: was.span, sketches: was.sketches, stale: true } : null;
    },

    // Calls back when the image is there; returns it if it is there now.
    image(strip, then, known = false) {
      const { head, drawn } = MVStudio.link.state;
      if (!head || !(known || drawn.has(strip))) return null;
      let image = images.get(strip);
      if (!image) {
        image = new Image();
        image.decoding = "async";
        image.src = `${head.strips}${strip}.jpg`;
        images.set(strip, image);
        trim(images, IMAGES);
      }
      if (image.complete && image.naturalWidth) return image;
      if (then) image.addEventListener("load", () => then(image), { once: true });
      return null;
    },

    // [x, y, w, h] of frame i of n in the image.
    cell(image, i, n) {
      const columns = Math.min(MVStudio.link.state.head.columns, n),
        rows = Math.ceil(n / columns);
      const w = (image.naturalWidth || image.width) / columns,
        h = (image.naturalHeight || image.height) / rows;
      return [(i % columns) * w, Math.floor(i / columns) * h, w, h];
    },

    // A row of up to 8 small frames of the shot's take, else of its sheet: a canvas with `count` and `frame` (its width),
    // `taken` where it is a take's; while it is drawn or loads the one before, if any (stale). Then calls back.
    thumbs(card, then) {
      const { before, drawn } = MVStudio.link.state;
      for (const name of [card.take, card.strip]) {
        if (!name || broken.has(name) || (name === card.strip && !drawn.has(name))) continue;
        if (thumbs.has(name)) return thumbs.get(name);
        if (asked.has(name)) asked.get(name)[1].add(then);
        else {
          asked.set(name, [card, new Set([then])]);
          load();
        }
      }
      const old = thumbs.get(before.get(card.id)?.strip);
      // The same object each time: a tile that shows it is drawn once.
      return old ? (old.faded ||= { ...old, stale: true }) : null;
    },
  };
  return sheets;
})();
