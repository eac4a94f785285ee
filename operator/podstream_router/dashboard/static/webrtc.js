// One connection of this page to a session: WHEP to play, WHIP (RFC 9725) to publish.

const PICTURE_MS = 10000;  // from the answer to the first picture

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function exchange(path, offer, bearer) {
  const headers = {"Content-Type": "application/sdp"};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const answer = await fetch(path, {method: "POST", headers, body: offer, credentials: "omit"});
  if (answer.status === 201) return answer;
  const {error, message} = await answer.json().catch(() => ({message: `the router answered ${answer.status}`}));
  throw new Refused(answer.status, error === "Busy" ? `Busy: ${message}` : message);
}

export class Connection {
  // `onLost` is told when the connection has gone without `stop`.
  constructor(video, onLost) {
    this.video = video;
    this.onLost = onLost;
  }

  get playing() {
    return this.peer !== undefined;
  }

  // Plays until `stop`; returns with the first picture. `onMessage`: for a data channel, its messages.
  async play(path, bearer, {onMessage} = {}) {
    await this.#connect(path, bearer, (peer) => {
      peer.addTransceiver("video", {direction: "recvonly"});
      peer.ontrack = ({track}) => { this.video.srcObject = new MediaStream([track]); };
      if (onMessage) this.#open(peer, onMessage);
    });
    this.video.play().catch(() => {});  // what matters is the picture
    await this.#picture();
  }

  // Publishes a camera until `stop`. `onMessage`: as above.
  async publish(path, bearer, camera, {onMessage} = {}) {
    this.camera = camera;
    this.video.srcObject = camera;
    let sender;
    await this.#connect(path, bearer, (peer) => {
      for (const track of camera.getVideoTracks()) ({sender} = peer.addTransceiver(track, {direction: "sendonly"}));
      if (onMessage) this.#open(peer, onMessage);
    });
    // Places that come back are pixels of the camera's pictures, so these keep their size.
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await sender.setParameters(parameters).catch(() => {});
    await this.video.play();
  }

  say(text) {
    if (this.channel?.readyState === "open" && this.channel.bufferedAmount < 65536) this.channel.send(text);
  }

  #open(peer, onMessage) {
    // The circle workload closes this channel when it has scored enough.
    this.channel = peer.createDataChannel("RTCchannel", {ordered: false, maxRetransmits: 0});
    this.channel.onmessage = ({data}) => onMessage(String(data));
  }

  #picture() {
    const {video, peer} = this;
    return new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error("No picture has come by WebRTC.")), PICTURE_MS);
      const over = (end, value) => { clearTimeout(late); end(value); };
      if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) over(done);
      video.addEventListener("loadeddata", () => over(done), {once: true});
      peer.addEventListener("connectionstatechange", () => {
        if (["failed", "closed"].includes(peer.connectionState)) over(fail, new Error("The WebRTC connection failed."));
      });
    });
  }

  async #connect(path, bearer, prepare) {
    const peer = new RTCPeerConnection();
    this.peer = peer;
    peer.addEventListener("connectionstatechange", () => {
      if (this.peer === peer && peer.connectionState === "failed") this.stop().then(this.onLost);
    });
    prepare(peer);
    await peer.setLocalDescription(await peer.createOffer());
    const answer = await exchange(path, peer.localDescription.sdp, bearer);
    this.resource = new URL(answer.headers.get("Location"), location.origin).pathname;
    this.bearer = bearer;
    await peer.setRemoteDescription({type: "answer", sdp: await answer.text()});
  }

  // Gives the place back. Also on leaving the page, where only `keepalive` requests are still sent.
  async stop() {
    const {peer, resource, bearer, camera} = this;
    this.peer = this.resource = this.camera = this.channel = undefined;
    this.video.srcObject = null;
    for (const track of camera?.getTracks() ?? []) track.stop();
    peer?.close();
    if (resource) {
      const headers = bearer ? {Authorization: `Bearer ${bearer}`} : {};
      await fetch(resource, {method: "DELETE", headers, keepalive: true, credentials: "omit"}).catch(() => {});
    }
  }
}
