const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;
/** The end of the directory and the longest comment behind it. */
const TAIL_BYTES = 22 + 65_535;
/** In the place of a number that does not fit 32 bits. */
const ZIP64 = 0xffffffff;

/** The arrays of an `.npz` as `.npy` files, in its order. @throws Error where it is none that NumPy writes */
export async function readNpzMembers(file: File): Promise<File[]> {
  const tailStart = Math.max(0, file.size - TAIL_BYTES);
  const tail = await viewOf(file, tailStart, file.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END_OF_DIRECTORY) end--;
  if (end < 0) throw new Error(`${file.name} is no .npz file.`);
  const [count, length, start] = [
    tail.getUint16(end + 10, true),
    tail.getUint32(end + 12, true),
    tail.getUint32(end + 16, true),
  ];
  const tooLarge = `${file.name} is too large to be unpacked here: give .npy files.`;
  if (start === ZIP64) throw new Error(tooLarge);
  const directory = await viewOf(file, start, start + length);
  const members: File[] = [];
  for (let at = 0, i = 0; i < count; i++) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== DIRECTORY_ENTRY)
      throw new Error(`${file.name} is no .npz file.`);
    const [method, size, offset] = [
      directory.getUint16(at + 10, true),
      directory.getUint32(at + 20, true),
      directory.getUint32(at + 42, true),
    ];
    if (size === ZIP64 || offset === ZIP64) throw new Error(tooLarge);
    const nameLength = directory.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameLength));
    members.push(await unpack(file, { name, method, size, offset }));
    at += 46 + nameLength + directory.getUint16(at + 30, true) + directory.getUint16(at + 32, true);
  }
  return members;
}

interface Member {
  readonly name: string;
  readonly method: number;
  readonly size: number;
  readonly offset: number;
}

async function unpack(file: File, { name, method, size, offset }: Member): Promise<File> {
  const header = await viewOf(file, offset, offset + 30);
  const start = offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const packed = file.slice(start, start + size);
  if (method === STORED) return new File([packed], name);
  if (method !== DEFLATED) throw new Error(`${name} in ${file.name} is packed in a way that is not known.`);
  const unpacked = packed.stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new File([await new Response(unpacked).blob()], name);
}

async function viewOf(file: File, from: number, to: number): Promise<DataView> {
  return new DataView(await file.slice(from, to).arrayBuffer());
}
