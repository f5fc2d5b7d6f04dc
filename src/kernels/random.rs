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
mod tests {
    use super::*;
    use crate::kernels::simd::{self, Level};

    /// The published algorithm, one block.
    fn philox(counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
        let mut c = counter;
        for _ in 0..ROUNDS {
            let (p, q) = (u64::from(c[0]) * MULTIPLY[0], u64::from(c[2]) * MULTIPLY[1]);
            c = [(q >> 32) as u32 ^ c[1] ^ key[0], q as u32, (p >> 32) as u32 ^ c[3] ^ key[1], p as u32];
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        c
    }

    #[test]
    fn the_published_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, want) in cases {
            assert_eq!(philox(counter, key), want);
            let stream = Stream { key, high: [counter[2], counter[3]] };
            let words = stream.blocks(u64::from(counter[0]) | u64::from(counter[1]) << 32);
            assert_eq!(words.map(|word| word[0] as u32), want);
        }
    }

    fn word(stream: Stream, block: u64, index: usize) -> u32 {
        philox([block as u32, (block >> 32) as u32, stream.high[0], stream.high[1]], stream.key)[index]
    }

    #[test]
    fn an_element_depends_on_its_index_alone() {
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            simd::force(level);
            let base = (1 << 34) - 300; // the block's high word changes on the way
            for (first, n) in [(0, 1), (0, 1000), (3, 700), (base, 1201), (17, 64), (5, 0)] {
                let stream = Stream::new(7, path_key("mlp.drop"), 3, Purpose::Dropout);
                let x: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
                let mut y = vec![0.0; n];
                dropout(&mut y, &x, first, stream, 0.3);
                let (mut u, mut z, mut z32) = (vec![0f64; n], vec![0f64; n], vec![0f32; n]);
                uniform(&mut u, first, stream);
                normal(&mut z, first, stream);
                normal(&mut z32, first, stream);
                for i in 0..n {
                    let e = first + i as u64;
                    let draw = word(stream, e / 8, (e % 8 / 2) as usize) >> (16 * (e % 2)) & 0xffff;
                    let kept = x[i] * (1.0f64 / 0.7) as f32;
                    assert_eq!(y[i], if draw >= threshold(0.3) { kept } else { 0.0 });
                    assert_eq!(u[i], f64::from(word(stream, e / 4, (e % 4) as usize) >> 8) / 16_777_216.0);
                    let half = (e % 4 / 2 * 2) as usize;
                    let r = (f64::from(word(stream, e / 4, half)) + 0.5) / 4_294_967_296.0;
                    let angle = f64::from(word(stream, e / 4, half + 1)) / 4_294_967_296.0 * std::f64::consts::TAU;
                    let want = (-2.0 * r.ln()).sqrt() * if e % 2 == 0 { angle.cos() } else { angle.sin() };
                    assert!((z[i] - want).abs() < 4e-15, "{} {want}", z[i]);
                    assert_eq!(z32[i], z[i] as f32);
                }
            }
        }
    }

    #[test]
    fn moments_and_independence() {
        let n = 400_000;
        let key = path_key("a");
        let (mut z, mut other, mut u) = (vec![0f32; n], vec![0f32; n], vec![0f32; n]);
        fill_normal(&mut z, 0, 1, key);
        fill_uniform(&mut u, 0, 1, key);
        let mean = |v: &[f32], f: fn(f64) -> f64| v.iter().map(|&x| f(f64::from(x))).sum::<f64>() / n as f64;
        assert!(mean(&z, |x| x).abs() < 0.006 && (mean(&z, |x| x * x) - 1.0).abs() < 0.01);
        assert!(mean(&z, |x| x * x * x).abs() < 0.02 && (mean(&z, |x| x * x * x * x) - 3.0).abs() < 0.08);
        assert!((mean(&u, |x| x) - 0.5).abs() < 0.002 && (mean(&u, |x| x * x) - 1.0 / 3.0).abs() < 0.002);
        assert!(u.iter().all(|&x| (0.0..1.0).contains(&x)));
        for (seed, key) in [(2, key), (1, path_key("b"))] {
            fill_normal(&mut other, 0, seed, key);
            let product: f64 = z.iter().zip(&other).map(|(&a, &b)| f64::from(a * b)).sum::<f64>() / n as f64;
            assert!(product.abs() < 0.006, "seed {seed}: correlation {product}");
        }
        let kept = |p: f64, step: u64| {
            let mut y = vec![0f32; n];
            dropout(&mut y, &vec![1.0; n], 0, Stream::new(1, key, step, Purpose::Dropout), p);
            y
        };
        let (a, b) = (kept(0.25, 0), kept(0.25, 1));
        assert!((mean(&a, |x| x) - 1.0).abs() < 0.005);
        let both = a.iter().zip(&b).filter(|(x, y)| **x > 0.0 && **y > 0.0).count() as f64 / n as f64;
        assert!((both - 0.5625).abs() < 0.004, "{both}");
        assert!(kept(1.0, 0).iter().all(|&x| x == 0.0) && kept(0.0, 0).iter().all(|&x| x == 1.0));
    }

    #[test]
    fn the_hash_of_a_path_is_fixed() {
        assert_eq!(path_key(""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(path_key("a"), mix(0xaf63_dc4c_8601_ec8c)); // FNV's published value for "a"
        assert_eq!(mix(0), 0);
    }

    #[test]
    #[ignore = "a timing: cargo test --release kernels::random -- --ignored --nocapture"]
    fn speed() {
        for level in [Level::Avx2, Level::Avx512] {
            simd::force(level);
            let n = 670_000;
            let (mut z, x) = (vec![0f32; n], vec![1f32; n]);
            let mut times = [f64::INFINITY; 3];
            for _ in 0..20 {
                let start = std::time::Instant::now();
                fill_normal(&mut z, 0, 1, 2);
                times[0] = times[0].min(start.elapsed().as_secs_f64());
                let start = std::time::Instant::now();
                fill_uniform(&mut z, 0, 1, 2);
                times[1] = times[1].min(start.elapsed().as_secs_f64());
                let start = std::time::Instant::now();
                for (dst, x) in z[..65_536].chunks_exact_mut(256).zip(x.chunks_exact(256)) {
                    dropout(dst, x, 0, Stream::new(1, 2, 3, Purpose::Dropout), 0.1);
                }
                times[2] = times[2].min(start.elapsed().as_secs_f64());
            }
            let [normal, uniform, drop] = times;
            eprintln!(
                "{level:?}: normal {:.2} ns, uniform {:.2} ns, dropout {:.2} ns an element",
                normal * 1e9 / n as f64,
                uniform * 1e9 / n as f64,
                drop * 1e9 / 65_536.0
            );
            assert!(normal < 2e-3);
        }
    }
}
