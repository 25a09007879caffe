/** CRC-64/NVME, which the server keeps of each file. 64 bits are two halves here. */

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n;
const PIECE_BYTES = 1 << 20;
const HALF = 0xffffffffn;

const low = new Uint32Array(256);
const high = new Uint32Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let value = BigInt(byte);
  for (let bit = 0; bit < 8; bit += 1) value = value & 1n ? (value >> 1n) ^ POLYNOMIAL : value >> 1n;
  low[byte] = Number(value & HALF);
  high[byte] = Number(value >> 32n);
}

/** The checksum as the server writes it: `crc64nvme:` and 16 digits. */
export async function checksumOf(content: Blob): Promise<string> {
  let [a, b] = [0xffffffff, 0xffffffff];
  for (let at = 0; at < content.size; at += PIECE_BYTES) {
    for (const byte of new Uint8Array(await content.slice(at, at + PIECE_BYTES).arrayBuffer())) {
      const row = (a ^ byte) & 0xff;
      a = ((a >>> 8) | (b << 24)) ^ (low[row] as number);
      b = (b >>> 8) ^ (high[row] as number);
    }
  }
  return `crc64nvme:${digits(~b)}${digits(~a)}`;
}

const digits = (half: number): string => (half >>> 0).toString(16).padStart(8, "0");
