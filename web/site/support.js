// What a browser must have to run the engine, tried and not guessed from its name.

// Functions that give back a vector, and that catch an exception.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
const EXCEPTIONS = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 8, 1, 6, 0, 6, 64, 25, 11, 11];

/** What this browser lacks, or an empty text. */
export function missing_feature() {
  if (typeof WebAssembly !== 'object') return 'WebAssembly';
  if (!WebAssembly.validate(new Uint8Array(SIMD))) return 'WebAssembly with vectors (SIMD)';
  if (!WebAssembly.validate(new Uint8Array(EXCEPTIONS))) return 'WebAssembly with exceptions';
  if (typeof OffscreenCanvas !== 'function') return 'OffscreenCanvas';
  return '';
}
