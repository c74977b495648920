// The shots in work: what each looks like by now, how far it is, what went wrong; in a row under the status line, and on
// the shot's own place in the timeline.
MVStudio.Queue = class {
  static MOST = 6; // shots shown in the row

  constructor(timeline) {
    const { h } = MVStudio;
    this.timeline = timeline;
    this.element = h("ul", { className: "mv-queue", "aria-label": "Shots in work", "data-testid": "queue", hidden: true });
    this.layer = h("div", { className: "mv-live-layer" });
    timeline.inner.append(this.layer);
    this.items = new Map();
    this.pictures = new Map();
    // A zoom makes the timeline wider.
    this.resizes = new ResizeObserver(() => this.place());
    this.resizes.observe(timeline.inner);
  }

  close() {
    this.resizes.disconnect();
  }

  refresh() {
    const { state } = MVStudio.link,
      shots = state.job.open ? Object.entries(state.progress).filter(([id]) => state.cards.has(id)) : [];
    const inWork = new Map(shots.slice(0, MVStudio.Queue.MOST));
    // Between two shots the row stays, so that nothing below it jumps.
    if (inWork.size) this.job = state.job.id;
    this.element.hidden = !state.job.open || this.job !== state.job.id;
    this.keep(this.items, inWork);
    for (const [id, [what, share, error, picture]] of inWork) {
      const item = this.items.get(id) || this.newItem(id);
      const card = state.cards.get(id),
        words = `Shot ${state.order.indexOf(id) + 1} · ${card.size} · ${MVStudio.wayOf(card)}`;
      item.words.textContent = what === "failed" ? `${words}: ${error}; it is tried again` : words;
      item.share.textContent = what === "failed" ? "" : `${Math.round(100 * share)} %`;
      item.bar.style.width = `${100 * share}%`;
      item.dataset.state = what;
      this.showPicture(item.picture, picture);
    }
    const pictured = new Map(shots.filter(([, [, , , picture]]) => picture));
    this.keep(this.pictures, pictured);
    for (const [id, [, , , picture]] of pictured) {
      let image = this.pictures.get(id);
      if (!image) {
        image = MVStudio.h("img", { className: "mv-live", alt: "" });
        this.pictures.set(id, image);
        this.layer.append(image);
      }
      this.showPicture(image, picture);
    }
    this.place();
  }

  // What is over goes.
  keep(nodes, wanted) {
    for (const [id, node] of nodes) {
      if (wanted.has(id)) continue;
      node.remove();
      nodes.delete(id);
    }
  }

  // The picture before stays until the new one is there.
  showPicture(image, address) {
    image.hidden = !address;
    if (address && image.getAttribute("src") !== address) image.src = address;
  }

  newItem(id) {
    const { h } = MVStudio,
      picture = h("img", { alt: "The shot as it is now", hidden: true, "data-testid": "live-picture" }),
      words = h("span", {}),
      share = h("span", { className: "mv-left" }),
      bar = h("i");
    const item = h(
      "li",
      { "data-testid": "queued-shot" },
      h(
        "button",
        {
          onclick: () => {
            this.timeline.select([id]);
            this.timeline.show(MVStudio.link.state.cards.get(id)?.start ?? 0);
          },
        },
        picture,
        h("span", { className: "mv-queue-words" }, words, share, h("span", { className: "mv-progress" }, bar)),
      ),
    );
    Object.assign(item, { picture, words, share, bar });
    this.items.set(id, item);
    this.element.append(item);
    return item;
  }

  place() {
    const { timeline } = this,
      { cards } = MVStudio.link.state;
    if (!timeline.scale || !timeline.music || !MVStudio.link.state.head) return;
    this.layer.style.top = `${timeline.rows.shots}px`;
    for (const [id, image] of this.pictures) {
      const card = cards.get(id);
      if (!card) continue;
      image.style.left = `${timeline.x(card.start) + 2}px`;
      image.style.maxWidth = `${Math.max(0, timeline.x(card.end) - timeline.x(card.start) - 4)}px`;
    }
  }
};
