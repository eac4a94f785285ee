// The browser's camera, and why there is none.

const WHY = {
  NotFoundError: "No camera was found on this machine.",
  NotAllowedError: "The camera was refused: allow it for this page in the browser’s settings, then try again.",
  NotReadableError: "The camera does not start: another program may have it.",
  OverconstrainedError: "No camera has pictures like those that the session asks for.",
};

export async function openCamera({width, height, fps}) {
  if (!navigator.mediaDevices) {
    throw new Error("The browser gives cameras to https pages and to this machine’s own address only.");
  }
  try {
    const video = {width: {ideal: width}, height: {ideal: height}, frameRate: {ideal: fps}};
    return await navigator.mediaDevices.getUserMedia({video});
  } catch (error) {
    throw new Error(WHY[error.name] ?? `The camera cannot be opened: ${error.message}`);
  }
}
