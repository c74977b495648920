// What Python has told the page, and the way back. One global name: MVStudio.
//
// Python sends parts of the plan with numbers (mv/ui/desk.py); the page says which number it knows. `edit` is for what
// undo takes back, `ask` for everything else. Nothing of the user's is ever put into markup: text goes in as text.
window.MVStudio = {};

MVStudio.link = (() => {
  const fresh = () => ({
    project: "",
    number: -1,
    head: null,
    music: null,
    order: [],
    list: [],
    cards: new Map(),
    drawn: new Set(),
    hasPeaks: false,
    job: { state: "", open: false, words: "", left: "", progress: 0 },
    progress: {},
  });
  const link = {
    state: fresh(),
    latencies: [],
    api: null,
    seq: 0,
    pending: new Map(),
    listeners: new Set(),
    strange: null,

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

    // Send an edit; resolves with the answer. op: see mv/ui/operations.py.
    edit(op) {
      return this.send("edit", op);
    },

    ask(what, fields = {}) {
      return this.send("ask", { ask: what, ...fields });
    },

    send(event, message) {
      if (!this.api || !this.state.project) return Promise.resolve({ error: "no project is open" });
      const seq = ++this.seq;
      return new Promise((resolve) => {
        this.pending.set(seq, { resolve, since: performance.now(), event });
        const near = MVStudio.stage ? MVStudio.stage.index : 0;
        this.api.trigger(event, { ...message, seq, near, project: this.state.project, number: this.state.number });
      });
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
      if (message.job) {
        this.state.job = message.job;
        told.add("job");
      }
      if (message.progress) {
        this.state.progress = message.progress;
        told.add("progress");
      }
      if (message.strips) {
        this.state.drawn = new Set(message.strips);
        told.add("strips");
      }
      if (message.peaks && !this.state.hasPeaks) {
        this.state.hasPeaks = true;
        told.add("peaks");
      }
      if (message.plan) this.receivePlan(message.plan, told);
      for (const what of told) this.tell(what);
      if (message.ack) this.acknowledge(message);
    },

    receivePlan(plan, told) {
      const state = this.state;
      if (plan.number <= state.number) return; // an answer that was overtaken
      if (plan.base > state.number) {
        this.ask("sync");
        return;
      }
      state.number = plan.number;
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
      }
      state.list = state.order.map((id) => state.cards.get(id)).filter(Boolean);
      told.add("plan");
    },

    // Answers come in the order of their questions: one number settles all before it.
    acknowledge(message) {
      const event = message.kind === "answer" ? "edit" : "ask";
      for (const [seq, waiting] of [...this.pending]) {
        if (seq > message.ack || waiting.event !== event) continue;
        this.pending.delete(seq);
        if (event === "edit") this.latencies.push(performance.now() - waiting.since);
        waiting.resolve(seq === message.ack ? message : {});
      }
      if (message.error) {
        this.tell("plan");
        MVStudio.toast(message.error);
      }
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

// The sheets of animatic frames: images for the stage, small copies for the timeline.
MVStudio.sheets = (() => {
  const images = new Map(),
    thumbs = new Map(),
    THUMB = 52,
    IMAGES = 48,
    THUMBS = 900;
  const trim = (map, most) => {
    if (map.size > most) map.delete(map.keys().next().value);
  };
  const sheets = {
    // Calls back when the image is there; returns it if it is there now.
    image(strip, then) {
      const { head, drawn } = MVStudio.link.state;
      if (!head || !drawn.has(strip)) return null;
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
      const w = image.naturalWidth / columns,
        h = image.naturalHeight / rows;
      return [(i % columns) * w, Math.floor(i / columns) * h, w, h];
    },

    // A row of up to 8 small frames of the shot, as a canvas with `count` and `frame` (its width).
    thumbs(card, then) {
      const known = thumbs.get(card.strip);
      if (known) return known;
      const image = this.image(card.strip, () => then && then());
      if (!image) return null;
      const n = card.sketches,
        count = Math.min(8, n),
        [, , w, h] = this.cell(image, 0, n);
      const canvas = document.createElement("canvas"),
        frame = Math.round((THUMB * w) / h);
      canvas.width = frame * count;
      canvas.height = THUMB;
      const pen = canvas.getContext("2d");
      for (let k = 0; k < count; k++) {
        const [x, y] = this.cell(image, Math.floor(((k + 0.5) * n) / count), n);
        pen.drawImage(image, x, y, w, h, k * frame, 0, frame, THUMB);
      }
      const row = { canvas, count, frame };
      thumbs.set(card.strip, row);
      trim(thumbs, THUMBS);
      return row;
    },
  };
  return sheets;
})();
