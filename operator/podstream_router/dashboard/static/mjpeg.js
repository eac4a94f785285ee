// Looks on at a stream session: MJPEG (multipart/x-mixed-replace) read by `fetch`, because an <img> cannot
// send the token in a header.

const HEAD = /content-length: *(\d+)/i;

function headEnd(bytes) {
  for (let i = 3; i < bytes.length; i += 1) {
    if (bytes[i] === 10 && bytes[i - 1] === 13 && bytes[i - 2] === 10 && bytes[i - 3] === 13) return i + 1;
  }
  return -1;
}

export class Pictures {
  constructor(canvas) {
    this.canvas = canvas;
  }

  get playing() {
    return this.stopping !== undefined;
  }

  async play(path, bearer, onEnd) {
    const stopping = new AbortController();
    const headers = bearer ? {Authorization: `Bearer ${bearer}`} : {};
    this.stopping = stopping;  // from here on `stop` ends it, also before the first picture
    let response;
    try {
      response = await fetch(path, {headers, signal: stopping.signal, cache: "no-store", credentials: "omit"});
      if (!response.ok) {
        const {message} = await response.json().catch(() => ({message: `the router answered ${response.status}`}));
        throw new Error(message);
      }
    } catch (error) {
      if (this.stopping !== stopping) return;  // it was stopped, which is no fault
      this.stopping = undefined;
      throw error;
    }
    this.follow(response.body.getReader()).catch(() => {}).finally(() => {
      if (this.stopping === stopping) this.stopping = undefined;
      onEnd();
    });
  }

  async follow(reader) {
    let kept = new Uint8Array(0);
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      const joined = new Uint8Array(kept.length + value.length);
      joined.set(kept);
      joined.set(value, kept.length);
      kept = joined;
      let picture;
      for (;;) {
        const start = headEnd(kept);
        if (start < 0) break;
        const size = Number(new TextDecoder().decode(kept.subarray(0, start)).match(HEAD)?.[1]);
        if (!size) throw new Error("not the pictures of a stream");
        if (kept.length < start + size) break;
        picture = kept.slice(start, start + size);
        kept = kept.slice(start + size);
      }
      if (picture) await this.draw(picture);  // the newest one: a slow page skips the others
    }
  }

  async draw(jpeg) {
    const bitmap = await createImageBitmap(new Blob([jpeg], {type: "image/jpeg"}));
    const {canvas} = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  stop() {
    this.stopping?.abort();
    this.stopping = undefined;
  }
}
