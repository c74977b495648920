// The stage: the song plays, and over it the shots as they are now: a take where there is one, else the animatic, which
// says that it is one. Or the film as it was put together last.
MVStudio.Stage = class {
  constructor() {
    const { h } = MVStudio;
    this.audio = h("audio", { preload: "auto" });
    // Below the shot that plays, above it the other one of a crossfade: each a sketch or a take.
    this.canvas = h("canvas", { className: "mv-picture", width: 512, height: 288 });
    this.over = h("canvas", { className: "mv-picture", width: 512, height: 288, hidden: true });
    this.videos = [0, 1].map(() =>
      h("video", { className: "mv-picture", muted: true, playsInline: true, preload: "auto" }),
    );
    this.film = h("video", { className: "mv-picture mv-film", playsInline: true, preload: "auto", id: "film" });
    this.veil = h("div", { className: "mv-picture mv-veil", hidden: true });
    this.badge = h("span", { className: "mv-badge", "data-testid": "badge" });
    this.frame = h("div", { className: "mv-frame" }, this.canvas, ...this.videos, this.over, this.veil, this.film, this.badge);
    this.play = h(
      "button",
      { className: "mv-play", "data-testid": "play", "aria-label": "Play", onclick: () => this.toggle() },
      "▶",
    );
    this.time = h("span", { className: "mv-time", "data-testid": "time" }, "0:00.00");
    this.modes = h(
      "div",
      { className: "mv-modes", role: "radiogroup", "aria-label": "What plays" },
      ...[
        ["cut", "Animatic + takes"],
        ["film", "Film"],
      ].map(([mode, words]) =>
        h(
          "button",
          { role: "radio", "data-mode": mode, "data-testid": `mode-${mode}`, onclick: () => this.setMode(mode) },
          words,
        ),
      ),
    );
    this.element = h(
      "section",
      { className: "mv-stage", "aria-label": "Player" },
      this.frame,
      h("div", { className: "mv-controls" }, this.play, this.time, h("span", { className: "mv-grow" }), this.modes),
      this.audio,
    );
    this.mode = "cut";
    this.speed = 0;
    this.reverse = 0;
    this.index = 0;
    this.front = 0;
    this.listeners = new Set();
    for (const media of [this.audio, this.film]) {
      for (const event of ["play", "pause", "ended"]) media.addEventListener(event, () => this.showPlaying());
      media.addEventListener("loadedmetadata", () => {
        if (this.wanted !== undefined) this.seek(this.wanted);
      });
    }
    this.running = true;
    const loop = (now) => {
      if (!this.running) return;
      this.tick(now);
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  close() {
    this.running = false;
    for (const media of [this.audio, this.film, ...this.videos]) {
      media.pause();
      media.removeAttribute("src");
      media.load();
    }
  }

  get clock() {
    return this.mode === "film" ? this.film : this.audio;
  }
  get now() {
    return this.wanted !== undefined ? this.wanted : this.clock.currentTime || 0;
  }
  get fps() {
    return MVStudio.link.state.head?.fps || 24;
  }
  get frameNow() {
    return Math.min(Math.floor(this.now * this.fps + 1e-6), (MVStudio.link.state.head?.frames || 1) - 1);
  }
  get playing() {
    return !this.clock.paused && !this.clock.ended;
  }

  // New material: the song, a newer film, other shots.
  refresh() {
    const { head } = MVStudio.link.state;
    if (!head) return;
    if (this.song !== head.song) {
      this.song = head.song;
      this.audio.src = head.song;
      this.wanted = undefined;
    }
    const film = head.films[0]?.file || "";
    if (this.filmFile !== film) {
      this.filmFile = film;
      if (film) this.film.src = film;
      else this.film.removeAttribute("src");
      if (!film && this.mode === "film") this.setMode("cut");
    }
    this.frame.style.aspectRatio = `${head.width} / ${head.height}`;
    this.frame.style.setProperty("--mv-aspect", head.width / head.height);
    this.modes.hidden = !film;
    this.showMode();
    this.drawn = undefined;
  }

  setMode(mode) {
    const time = this.now,
      playing = this.playing;
    this.pause();
    this.mode = mode;
    this.seek(time);
    this.showMode();
    if (playing) this.start();
  }

  showMode() {
    for (const button of this.modes.children)
      button.setAttribute("aria-checked", String(button.dataset.mode === this.mode));
    this.film.hidden = this.mode !== "film";
    this.veil.hidden = true;
    this.drawn = undefined;
  }

  toggle() {
    if (this.playing || this.reverse) this.pause();
    else this.start();
  }

  start(speed = 1) {
    this.reverse = 0;
    const media = this.clock;
    if (media.ended || this.now >= (MVStudio.link.state.music?.duration || Infinity) - 0.02) this.seek(0);
    media.playbackRate = speed;
    media
      .play()
      .catch((error) =>
        MVStudio.toast(`This browser cannot play the ${this.mode === "film" ? "film" : "song"}: ${error.message}`),
      );
  }

  pause() {
    this.reverse = 0;
    this.audio.pause();
    this.film.pause();
    this.showPlaying();
  }

  // L and J: faster with every press, as on an edit deck.
  shuttle(direction) {
    if (direction > 0) {
      const rate = this.playing ? Math.min(4, this.clock.playbackRate * 2) : 1;
      this.start(rate);
      return;
    }
    const speed = Math.min(4, (this.reverse || 0.5) * 2);
    this.pause();
    this.reverse = speed;
  }

  seek(time) {
    const duration = MVStudio.link.state.music?.duration || this.clock.duration || 0;
    const at = Math.max(0, Math.min(time, duration));
    if (this.clock.readyState >= 1) {
      this.clock.currentTime = at;
      this.wanted = undefined;
    } else this.wanted = at;
    this.drawn = undefined;
  }

  // Frames have a middle: rounding cannot lead into a neighbour.
  seekFrame(frame) {
    this.seek((Math.max(0, frame) + 0.5) / this.fps);
  }

  showPlaying() {
    const on = this.playing || this.reverse > 0;
    this.play.textContent = on ? "❚❚" : "▶";
    this.play.setAttribute("aria-label", on ? "Pause" : "Play");
  }

  tick(now) {
    const seconds = Math.min(0.1, (now - (this.last || now)) / 1000);
    this.last = now;
    if (this.reverse) {
      this.seek(this.now - seconds * this.reverse);
      if (this.now <= 0) this.pause();
    }
    const { head } = MVStudio.link.state;
    if (!head) return;
    const time = this.now;
    if (time === this.drawn && !this.playing) return;
    this.drawn = time;
    this.time.textContent = `${MVStudio.clock(time)} / ${MVStudio.clock(MVStudio.link.state.music?.duration || 0)}`;
    const shots = MVStudio.link.shots;
    if (!shots.length) return;
    this.index = MVStudio.shotAt(shots, this.frameNow);
    for (const listener of this.listeners) listener(time);
    if (this.mode === "cut") this.draw(shots, time);
    else {
      const drawn = this.filmFile.endsWith("-animatic.mp4");
      this.label(drawn ? "animatic" : "film", drawn ? "Film of the ANIMATIC" : "Film");
      for (const video of this.videos) video.pause();
    }
  }

  // What is to be seen says what it is: the animatic never passes for the film.
  label(kind, words) {
    if (this.badge.textContent !== words) this.badge.textContent = words;
    this.badge.dataset.kind = kind;
  }

  draw(shots, time) {
    const card = shots[this.index],
      mix = this.mix(shots),
      shown = this.drawLayer(card, time, 1),
      next = shots[this.index + 1];
    if (mix) this.drawLayer(mix.card, time, mix.share);
    else {
      this.over.hidden = true;
      this.rest(this.videos[1 - this.front]);
    }
    this.drawVeil(shots);
    if (!shown && this.stale) this.label("animatic", "ANIMATIC · being drawn anew");
    else if (!shown) this.label("animatic", "ANIMATIC · an instant sketch, not the film");
    else if (shown.model === "animatic") this.label("animatic", "ANIMATIC take · drawn, not by the model");
    else this.label("take", `Take · ${shown.model}`);
    if (!next || mix) return;
    const after = this.takeOf(next);
    if (after) this.load(this.videos[1 - this.front], next, after);
    else MVStudio.sheets.image(next.strip);
  }

  takeOf(card) {
    return card.takes.find((one) => one.key === card.take);
  }

  // In a crossfade the other shot, and how much of it is to be seen (as in mv/assembly.py); else null.
  mix(shots) {
    const card = shots[this.index],
      frame = this.frameNow,
      before = shots[this.index - 1],
      next = shots[this.index + 1];
    const share = ({ start, fade: [first, last] }) => (frame - start + first + 0.5) / (first + last);
    if (next && !next.veil && frame >= next.start - next.fade[0]) return { card: next, share: share(next) };
    if (before && !card.veil && frame < card.start + card.fade[1]) return { card: before, share: 1 - share(card) };
    return null;
  }

  // The shot's take where it can be seen, else its sketch. share 1: it is the picture; less: it lies over it. Returns
  // the take that is to be seen.
  drawLayer(card, time, share) {
    const take = this.takeOf(card),
      over = share < 1;
    if (take && !over) {
      const known = this.videos.findIndex((video) => video.dataset.key === take.key);
      if (known >= 0) this.front = known;
    }
    const video = this.videos[over ? 1 - this.front : this.front],
      seen = take && this.drawTake(video, card, take, time);
    if (!take) this.rest(video);
    video.style.opacity = share;
    video.style.zIndex = over ? 1 : 0;
    if (over) {
      this.over.hidden = Boolean(seen);
      this.over.style.opacity = share;
    }
    if (!seen) {
      const stale = this.drawSketch(over ? this.over : this.canvas, card, time);
      if (!over) this.stale = stale;
    }
    return seen ? take : null;
  }

  rest(video) {
    video.pause();
    video.hidden = true;
  }

  // A dip or a flash: its colour over sketch and take alike, as in the film (Transition.cover in mv/schema.py).
  drawVeil(shots) {
    const card = shots[this.index],
      next = shots[this.index + 1],
      frame = this.frameNow;
    let colour = null,
      covered = 0;
    if (card.veil && frame < card.start + card.fade[1]) {
      colour = card.veil;
      covered = 1 - (frame - card.start) / card.fade[1];
    } else if (next?.veil && frame >= next.start - next.fade[0]) {
      colour = next.veil;
      covered = 1 + (frame - next.start + 1) / next.fade[0];
    }
    this.veil.hidden = !covered;
    this.veil.style.background = colour || "";
    this.veil.style.opacity = covered;
  }

  load(video, card, take) {
    if (video.dataset.key === take.key) return;
    video.dataset.key = take.key;
    video.src = MVStudio.link.state.head.takes + take.file;
    video.currentTime = Math.max(0, (card.start - card.span[0]) / this.fps);
  }

  // True where the take's own frame is to be seen.
  drawTake(video, card, take, time) {
    this.load(video, card, take);
    const at = (Math.floor(time * this.fps + 1e-6) - card.span[0] + 0.5) / this.fps;
    if (this.playing) {
      video.playbackRate = this.audio.playbackRate;
      if (video.paused) video.play().catch(() => {});
      if (Math.abs(video.currentTime - at) > 0.12 && !video.seeking) video.currentTime = at;
    } else {
      video.pause();
      if (Math.abs(video.currentTime - at) > 0.5 / this.fps && !video.seeking) video.currentTime = at;
      if (video.seeking) this.drawn = undefined;
    }
    const ready = video.readyState >= 2;
    video.hidden = !ready;
    if (!ready) this.drawn = undefined;
    return ready;
  }

  // True where it is the sketch from before an edit, dimmed: the new one is being drawn.
  drawSketch(canvas, card, time) {
    const pen = canvas.getContext("2d"),
      { head } = MVStudio.link.state;
    const height = Math.round(512 * (head.height / head.width)),
      [w, h] = height > 512 ? [Math.round(512 / (height / 512)), 512] : [512, height];
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
    }
    const sheet = MVStudio.sheets.of(card, () => {
      this.drawn = undefined;
    });
    pen.fillStyle = "#14161c";
    if (sheet) {
      const { sketches: n, span } = sheet,
        part = (time * this.fps - span[0]) / (span[1] - span[0]),
        cell = MVStudio.sheets.cell(sheet.image, Math.max(0, Math.min(n - 1, Math.floor(part * n))), n);
      pen.drawImage(sheet.image, ...cell, 0, 0, w, h);
      if (!sheet.stale) return false;
      pen.globalAlpha = 0.6;
      pen.fillRect(0, 0, w, h);
      pen.globalAlpha = 1;
      return true;
    }
    pen.fillRect(0, 0, w, h);
    pen.fillStyle = "#9aa3b5";
    pen.font = "16px sans-serif";
    pen.textAlign = "center";
    pen.fillText("drawing the animatic…", w / 2, h / 2);
    return false;
  }
};
