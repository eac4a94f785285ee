// Plays a session of the ball as its client: finds the ball in every picture, answers, and draws both.
import {BallFinder, estimateText, readPlace} from "./ball.js";

const BEAT_MS = 2000;  // the session's heartbeat
const REMEMBERED = 12;  // frames whose truth may still be told; each is a picture in memory
const SILENT_MS = 2000;
const SAME_S = 0.001;

export class BallPlayer {
  constructor(connection, overlay) {
    this.connection = connection;
    this.overlay = overlay;
    this.finder = new BallFinder();
    this.count = 0;
    this.answered = new Map();  // frames and what was seen in them, by RTP timestamp
    this.toldAt = -Infinity;
    this.turn = 0;  // counts stops: a callback that was asked for before one looks no more
  }

  async play(path, bearer) {
    const {connection} = this, {video} = connection;
    this.#forget(0);
    this.toldAt = -Infinity;
    await connection.play(path, bearer, {onMessage: (text) => this.#told(text)});
    this.beat = setInterval(() => connection.say("ping"), BEAT_MS);
    const mine = this.turn;
    const look = (now, named) => {
      if (!connection.playing || mine !== this.turn) return;
      this.#look(named);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback?.(look);
  }

  // The picture that is shown now, and its RTP timestamp where that is certain: a busy page is called for
  // one frame while the video shows the next one already.
  #picture({mediaTime, rtpTimestamp}) {
    const {video} = this.connection;
    if (!window.VideoFrame) return {picture: video, rtpTimestamp};
    const frame = new VideoFrame(video);
    const isNamed = Math.abs(frame.timestamp / 1e6 - mediaTime) < SAME_S;
    const own = frame.metadata?.().rtpTimestamp ?? (isNamed ? rtpTimestamp : undefined);
    return {picture: frame, rtpTimestamp: own};
  }

  #look(named) {
    const {video} = this.connection;
    const begun = performance.now();
    const {picture, rtpTimestamp} = this.#picture(named);
    if (this.answered.has(rtpTimestamp)) {  // seen already, when the page was called too late
      picture.close?.();
      return;
    }
    const ball = this.finder.find(picture, [video.videoWidth, video.videoHeight]);
    const micros = (performance.now() - begun) * 1000;
    // A frame that has no name cannot be scored; it is drawn all the same.
    if (rtpTimestamp !== undefined) {
      this.connection.say(estimateText(ball, {count: this.count, rtpTimestamp, micros}));
      this.answered.set(rtpTimestamp, {ball, picture});
      this.#forget(REMEMBERED);
    } else {
      picture.close?.();
    }
    this.count += 1;
    // Where truths are told, picture and marks are of one frame: the last one whose truth is known.
    if (begun - this.toldAt > SILENT_MS) {
      this.overlay.show({seen: ball});
      this.overlay.say(ball ? `Seen at ${ball.x.toFixed(1)}, ${ball.y.toFixed(1)}.` : "No ball is seen.");
    }
  }

  #told(text) {
    const truth = readPlace(text);
    const {ball: seen, picture} = (truth?.isTruth && this.answered.get(truth.rtpTimestamp)) || {};
    if (!seen) return;
    this.toldAt = performance.now();
    this.overlay.show({seen, truth, picture});
    const off = Math.hypot(seen.x - truth.x, seen.y - truth.y);
    this.overlay.say(`Seen at ${seen.x.toFixed(1)}, ${seen.y.toFixed(1)}; it was at ${truth.x.toFixed(1)}, ${truth.y.toFixed(1)}: ${off.toFixed(2)} px off.`);
  }

  // Keeps the newest `most` frames.
  #forget(most) {
    for (const [rtpTimestamp, {picture}] of this.answered) {
      if (this.answered.size <= most) return;
      this.answered.delete(rtpTimestamp);
      picture.close?.();
    }
  }

  async stop() {
    this.turn += 1;
    clearInterval(this.beat);
    this.#forget(0);
    await this.connection.stop();
    this.overlay.clear();
  }
}
