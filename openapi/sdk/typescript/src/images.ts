/** Pictures in whatever form a program has them, as the API takes them: base64 of a picture's file. */

/** The bytes of a picture's file, a Blob or File, or a `data:` URI such as `canvas.toDataURL()` gives. */
export type Picture = Blob | ArrayBuffer | Uint8Array | string;

const CHUNK = 0x8000; // as many arguments as every engine takes

/** The picture as the API takes it. Throws TypeError for what is no picture. */
export async function encode(picture: Picture): Promise<string> {
  if (typeof picture === "string") {
    if (!picture.startsWith("data:")) {
      throw new TypeError('Give a picture as text only as a data: URI; `open` of "hemline-client/node" reads a path.');
    }
    return picture;
  }
  const bytes = await read(picture);
  let binary = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return btoa(binary);
}

async function read(picture: Exclude<Picture, string>): Promise<Uint8Array> {
  if (picture instanceof Uint8Array) return picture;
  if (picture instanceof ArrayBuffer) return new Uint8Array(picture);
  if (picture instanceof Blob) return new Uint8Array(await picture.arrayBuffer());
  throw new TypeError("This is no picture: give a Blob, a File, bytes or a data: URI.");
}
