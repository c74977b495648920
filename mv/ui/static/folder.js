// A project folder of this machine, opened: its files go up as the zip file that "Open a project from a zip" takes.
MVStudio.folder = (() => {
  // What makes a project; the rest (sketches, temporary files) is drawn again or means nothing. See mv/archive.py.
  const FOLDERS = ["takes", "films", "history"],
    NAME = /^\w[\w .()'&+,=@~!-]{0,150}\.[A-Za-z0-9]{1,8}$/,
    MOST = 2 ** 31; // bytes: what a zip file without extensions holds, and a page

  const table = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });
  const crc32 = (bytes) => {
    let crc = 0xffffffff;
    for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
    return (crc ^ 0xffffffff) >>> 0;
  };

  // Numbers of 2 or 4 bytes each, the small end first: [value, size] ...
  const packed = (...numbers) => {
    const view = new DataView(new ArrayBuffer(numbers.reduce((sum, [, size]) => sum + size, 0)));
    let at = 0;
    for (const [value, size] of numbers) {
      if (size === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += size;
    }
    return view.buffer;
  };

  // The parts of a zip file of [name, File] pairs, stored as they are: media does not shrink.
  const zip = async (entries) => {
    const parts = [],
      directory = [];
    let at = 0;
    for (const [path, file] of entries) {
      const name = new TextEncoder().encode(path),
        crc = crc32(new Uint8Array(await file.arrayBuffer()));
      const common = [[20, 2], [0x800, 2], [0, 2], [0, 2], [0x21, 2], [crc, 4], [file.size, 4], [file.size, 4]];
      const start = packed([0x04034b50, 4], ...common, [name.length, 2], [0, 2]);
      const rest = [[name.length, 2], [0, 2], [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]];
      parts.push(start, name, file);
      directory.push(packed([0x02014b50, 4], [20, 2], ...common, ...rest), name);
      at += start.byteLength + name.length + file.size;
    }
    const size = directory.reduce((sum, part) => sum + part.byteLength, 0),
      count = entries.length;
    const end = packed([0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [size, 4], [at, 4], [0, 2]);
    return [...parts, ...directory, end];
  };

  const belongs = (file) => {
    const inside = file.webkitRelativePath.split("/").slice(1);
    return inside.length && inside.length <= 2 && (inside.length === 1 || FOLDERS.includes(inside[0])) && NAME.test(file.name);
  };

  const open = async (input) => {
    const files = [...input.files].filter(belongs),
      root = files[0]?.webkitRelativePath.split("/")[0] || "";
    input.value = "";
    if (!files.some((file) => /^(project|plan)\.json$/.test(file.name))) {
      MVStudio.toast("This is no project folder: it has neither project.json nor plan.json");
      return;
    }
    if (files.reduce((sum, file) => sum + file.size, 0) > MOST) {
      MVStudio.toast("This folder is too large for a page: put it into the projects folder of the studio instead");
      return;
    }
    const archive = new DataTransfer();
    archive.items.add(new File(await zip(files.map((file) => [file.webkitRelativePath, file])), `${root}.zip`));
    const target = document.querySelector("#archive input[type=file]");
    target.files = archive.files;
    target.dispatchEvent(new Event("change", { bubbles: true }));
  };

  document.addEventListener("change", (event) => {
    if (event.target.id === "mv-folder") open(event.target);
  });
  return { zip };
})();
