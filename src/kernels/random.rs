//! Random numbers by counter: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3;
//! 2011). A value is a function of where it stands, not of what was drawn before.
//!
//! A stream is named by a seed, a key (`path_key` of what draws), a step and a purpose. The seed is Philox's key, low
//! word first. The counter has four words: the first two are the index of a block (low word first), the last two a
//! 64-bit mix of key, step and purpose. A block gives four words of 32 bits:
//!
//! * dropout: 16 bits an element; element e takes block e / 8, word (e % 8) / 2, the low half where e is even
//! * uniform: element e takes block e / 4, word e % 4; its upper 24 bits over 2^24, in f32 and f64 alike
//! * normal: element e takes block e / 4; words 0 and 1 give elements 4 b and 4 b + 1, words 2 and 3 the other two:
//!   radius sqrt(-2 ln((w + 1/2) / 2^32)) from the even word, angle 2 pi w / 2^32 from the odd one, cosine for the even
//!   element, sine for the odd one (Box and Muller 1958), in f64; an f32 is that value rounded

use super::float::Float;
use super::math;

const MULTIPLY: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: u32 = 10;
const WORD: u64 = 0xffff_ffff;
/// How many blocks are computed together: a vector of 64-bit lanes.
const LANES: usize = 8;

/// What a stream is drawn for: streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A dropout mask.
    Dropout = 1,
    /// Uniform numbers.
    Uniform = 2,
    /// Normal numbers.
    Normal = 3,
}

/// A stream of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    high: [u32; 2],
}

impl Stream {
    /// The stream of a seed, a key, a step and a purpose.
    pub fn new(seed: u64, key: u64, step: u64, purpose: Purpose) -> Stream {
        let high = mix(mix(key ^ mix(purpose as u64)).wrapping_add(step));
        Stream { key: [seed as u32, (seed >> 32) as u32], high: [high as u32, (high >> 32) as u32] }
    }

    /// The four words of the blocks `first ..`, in the low halves of the lanes; the high halves are 0.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // one vector lane after the other
    fn blocks(self, first: u64) -> [[u64; LANES]; 4] {
        let mut words = [[0; LANES]; 4];
        for lane in 0..LANES {
            let block = first.wrapping_add(lane as u64);
            words[0][lane] = block;
            words[1][lane] = block >> 32;
            words[2][lane] = u64::from(self.high[0]);
            words[3][lane] = u64::from(self.high[1]);
        }
        let mut key = self.key;
        for _ in 0..ROUNDS {
            for lane in 0..LANES {
                // Whatever stands above 32 bits falls away at the next product.
                let p = (words[0][lane] & WORD) * MULTIPLY[0];
                let q = (words[2][lane] & WORD) * MULTIPLY[1];
                words[0][lane] = (q >> 32) ^ words[1][lane] ^ u64::from(key[0]);
                words[1][lane] = q;
                words[2][lane] = (p >> 32) ^ words[3][lane] ^ u64::from(key[1]);
                words[3][lane] = p;
            }
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        words.map(|word| word.map(|w| w & WORD))
    }

    /// The same words in order of the blocks, two to an element.
    #[inline(always)]
    fn in_order(self, first: u64, out: &mut [u64; 2 * LANES]) {
        let words = self.blocks(first);
        for lane in 0..LANES {
            out[2 * lane] = words[0][lane] | words[1][lane] << 32;
            out[2 * lane + 1] = words[2][lane] | words[3][lane] << 32;
        }
    }
}

/// A bijection of 64 bits without structure (the end of MurmurHash3).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// The key of what stands at a path: FNV-1a of 64 bits over its UTF-8 bytes, then the final mix of MurmurHash3.
pub fn path_key(path: &str) -> u64 {
    mix(path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// The threshold of a probability on draws of 16 bits: a draw below it drops the element.
pub fn threshold(p: f64) -> u32 {
    (p * 65_536.0).round() as u32
}

multiversion! {
    /// `dst = x / (1 - p)` where the draw is at least `threshold(p)`, else 0; `first` is the index of the first element.
    pub fn dropout<T: Float>(dst: &mut [T], x: &[T], first: u64, stream: Stream, p: f64) {
        let limit = threshold(p);
        let scale = T::of(1.0 / (1.0 - p));
        let pick = |x: T, draw: u16| if u32::from(u16::from_le(draw)) >= limit { x * scale } else { T::ZERO };
        let mut done = 0;
        // 64 draws at a time, the first of which may belong to elements before `first`.
        while done < dst.len() {
            let at = first + done as u64;
            let skip = (at % 8) as usize;
            let n = (dst.len() - done).min(64 - skip);
            let mut words = [0; 2 * LANES];
            stream.in_order(at / 8, &mut words);
            // SAFETY: 16 × 8 bytes are 64 × 2, of any bits.
            let draws: [u16; 64] = unsafe { std::mem::transmute(words.map(u64::to_le)) };
            let (dst, x) = (&mut dst[done..done + n], &x[done..done + n]);
            if let (Some(dst), Some(x)) = (dst.first_chunk_mut::<64>(), x.first_chunk::<64>()) {
                for i in 0..64 {
                    dst[i] = pick(x[i], draws[i]);
                }
            } else {
                for ((dst, &x), &draw) in dst.iter_mut().zip(x).zip(&draws[skip..]) {
                    *dst = pick(x, draw);
                }
            }
            done += n;
        }
    }
}

multiversion! {
    /// The uniform numbers in 0 <= u < 1 of the elements `first ..`.
    pub fn uniform<T: Float>(dst: &mut [T], first: u64, stream: Stream) {
        let mut done = 0;
        while done < dst.len() {
            let at = first + done as u64;
            let skip = (at % 4) as usize;
            let n = (dst.len() - done).min(4 * LANES - skip);
            let mut words = [0; 2 * LANES];
            stream.in_order(at / 4, &mut words);
            let mut values = [T::ZERO; 4 * LANES];
            for (pair, word) in values.chunks_exact_mut(2).zip(words) {
                pair[0] = T::of(((word & WORD) >> 8) as u32 as i32 as f64 / 16_777_216.0);
                pair[1] = T::of((word >> 40) as u32 as i32 as f64 / 16_777_216.0);
            }
            dst[done..done + n].copy_from_slice(&values[skip..skip + n]);
            done += n;
        }
    }
}

multiversion! {
    /// The normal numbers (mean 0, deviation 1) of the elements `first ..`.
    pub fn normal<T: Float>(dst: &mut [T], first: u64, stream: Stream) {
        let mut done = 0;
        while done < dst.len() {
            let at = first + done as u64;
            let skip = (at % 4) as usize;
            let n = (dst.len() - done).min(4 * LANES - skip);
            let words = stream.blocks(at / 4);
            let mut values = [[T::ZERO; 4]; LANES];
            for lane in 0..LANES {
                let (a, b) = pair(words[0][lane], words[1][lane]);
                let (c, d) = pair(words[2][lane], words[3][lane]);
                values[lane] = [T::of(a), T::of(b), T::of(c), T::of(d)];
            }
            dst[done..done + n].copy_from_slice(&values.as_flattened()[skip..skip + n]);
            done += n;
        }
    }
}

/// Two normal numbers from two words.
#[inline(always)]
fn pair(radius: u64, angle: u64) -> (f64, f64) {
    // A word below 2^32 as a float, without a conversion instruction that AVX2 lacks.
    let float = |word: u64| f64::from_bits(word | 0x4330_0000_0000_0000) - 4_503_599_627_370_496.0;
    let r = (-2.0 * math::f64::ln((float(radius) + 0.5) / 4_294_967_296.0)).sqrt();
    let (sin, cos) = math::f64::turn(float(angle) / 4_294_967_296.0);
    (r * cos, r * sin)
}

/// Normal numbers (mean 0, deviation 1) for a tensor's first values; `first` is the index of the first element.
pub fn fill_normal<T: Float>(dst: &mut [T], first: u64, seed: u64, key: u64) {
    normal(dst, first, Stream::new(seed, key, 0, Purpose::Normal));
}

/// Uniform numbers in 0 <= u < 1 for a tensor's first values; `first` is the index of the first element.
pub fn fill_uniform<T: Float>(dst: &mut [T], first: u64, seed: u64, key: u64) {
    uniform(dst, first, Stream::new(seed, key, 0, Purpose::Uniform));
}

#[cfg(test)]
mod tests;
