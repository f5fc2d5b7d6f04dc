//! Dots of a picture as braille: two columns and four rows of dots a character.

/// The bits of the eight dots, column by column.
const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The dots of the character at (row, column), as bits.
pub fn bits(dots: &[Vec<bool>], row: usize, column: usize) -> u32 {
    let places = (0..2).flat_map(|dx| (0..4).map(move |dy| (dx, dy)));
    places.filter(|(dx, dy)| dots[4 * row + dy][2 * column + dx]).map(|(dx, dy)| BITS[dx][dy]).sum()
}

/// The character of such bits; a space where there is no dot.
pub fn sign(bits: u32) -> char {
    if bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or(' ') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dot_has_its_bit() {
        let mut dots = vec![vec![false; 4]; 8];
        assert_eq!(sign(bits(&dots, 1, 1)), ' ');
        dots[4][2] = true;
        assert_eq!(sign(bits(&dots, 1, 1)), '⠁');
        dots[7][3] = true;
        assert_eq!((sign(bits(&dots, 1, 1)), sign(bits(&dots, 0, 0))), ('⢁', ' '));
        (0..8).for_each(|y| dots[y].fill(true));
        assert_eq!(sign(bits(&dots, 0, 1)), '⣿');
    }
}
