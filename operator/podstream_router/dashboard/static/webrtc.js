// Plays a session by WHEP, or publishes a camera by WHIP (RFC 9725): either way this page is the session's
// one client while it lasts.

async function exchange(path, offer, bearer) {
  const headers = {"Content-Type": "application/sdp"};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const answer = await fetch(path, {method: "POST", headers, body: offer, credentials: "omit"});
  if (answer.status === 201) return answer;
  const {message} = await answer.json().catch(() => ({message: `the router answered ${answer.status}`}));
  throw new Error(message);
}

export class Connection {
  constructor(video) {
    this.video = video;
  }

  get playing() {
    return this.peer !== undefined;
  }

  async play(path, bearer) {
    await this.#connect(path, bearer, (peer) => {
      peer.addTransceiver("video", {direction: "recvonly"});
      // The circle workload closes this channel when it has scored enough.
      peer.createDataChannel("RTCchannel", {ordered: false, maxRetransmits: 0});
      peer.ontrack = ({track}) => { this.video.srcObject = new MediaStream([track]); };
    });
    await this.video.play();
  }

  // `onPlace` is told of each place at which the server sees the ball: x and y, pixels.
  async publish(path, bearer, onPlace) {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives cameras to https pages and to this machine’s own address only.");
    }
    this.camera = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480, frameRate: 30}});
    this.video.srcObject = this.camera;
    await this.#connect(path, bearer, (peer) => {
      for (const track of this.camera.getVideoTracks()) peer.addTransceiver(track, {direction: "sendonly"});
      const channel = peer.createDataChannel("RTCchannel", {ordered: false, maxRetransmits: 0});
      channel.onmessage = ({data}) => {
        const [x, y, ...rest] = String(data).split("\t").map(Number);
        if (rest.length === 2 && Number.isFinite(x) && Number.isFinite(y)) onPlace(x, y);
      };
    });
    await this.video.play();
  }

  async #connect(path, bearer, prepare) {
    const peer = new RTCPeerConnection();
    this.peer = peer;
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
    this.peer = this.resource = this.camera = undefined;
    this.video.srcObject = null;
    for (const track of camera?.getTracks() ?? []) track.stop();
    peer?.close();
    if (resource) {
      const headers = bearer ? {Authorization: `Bearer ${bearer}`} : {};
      await fetch(resource, {method: "DELETE", headers, keepalive: true, credentials: "omit"}).catch(() => {});
    }
  }
}
