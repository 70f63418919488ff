//! Parameters as one line of text.

use std::{fmt, str::FromStr};

use crate::ParamsError;

use super::{CkksParams, CkksParamsLiteral, RingType};

/// `N=2^13 Q=45,30,30 P=46 scale=2^30`, with ` ring=conjugate-invariant` behind it for that ring and ` insecure` where that
/// was accepted.
impl fmt::Display for CkksParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |v: &[u32]| v.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let l = &self.literal;
        write!(f, "N=2^{} Q={} P={} scale=2^{}", l.log_n, list(&l.log_q), list(&l.log_p), l.log_scale)?;
        if l.ring == RingType::ConjugateInvariant {
            write!(f, " ring={}", l.ring.name())?;
        }
        if l.insecure { f.write_str(" insecure") } else { Ok(()) }
    }
}

impl FromStr for CkksParams {
    type Err = ParamsError;

    fn from_str(text: &str) -> Result<Self, ParamsError> {
        let bad = |field| ParamsError::Parse { field, text: text.to_owned() };
        let mut words = text.split_whitespace();
        let mut field = |name: &'static str, prefix: &str| {
            words.next().and_then(|w| w.strip_prefix(prefix)).ok_or_else(|| bad(name)).map(str::to_owned)
        };
        let number = |name, s: &str| s.parse::<u32>().map_err(|_| bad(name));
        let list = |name, s: &str| s.split(',').map(|w| number(name, w)).collect::<Result<Vec<_>, _>>();
        let log_n = number("N", &field("N", "N=2^")?)?;
        let log_q = list("Q", &field("Q", "Q=")?)?;
        let log_p = list("P", &field("P", "P=")?)?;
        let log_scale = number("scale", &field("scale", "scale=2^")?)?;
        let (mut ring, mut insecure) = (RingType::Standard, false);
        for word in words {
            match (word, word.strip_prefix("ring=")) {
                ("insecure", _) => insecure = true,
                (_, Some(name)) => {
                    ring = RingType::ALL.into_iter().find(|r| r.name() == name).ok_or_else(|| bad("ring"))?;
                }
                _ => return Err(bad("security")),
            }
        }
        CkksParamsLiteral { log_n, log_q, log_p, log_scale, ring, insecure }.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_and_from_str_are_inverses() {
        let text = "N=2^13 Q=45,30,30,30,30 P=46 scale=2^30";
        let real = format!("{text} ring=conjugate-invariant");
        let insecure = "N=2^12 Q=45,30,30,30 P=46 scale=2^30 insecure";
        for text in [text, &real, insecure] {
            assert_eq!(text.parse::<CkksParams>().unwrap().to_string(), text);
        }
        let slots = |text: &str| text.parse::<CkksParams>().unwrap().slots();
        assert_eq!((slots(text), slots(&real)), (4096, 8192));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| text.parse::<CkksParams>().unwrap_err().to_string();
        for (field, text) in [("scale", "N=2^13 Q=45 P=46"), ("Q", "N=2^13 Q=4a P=46 scale=2^30"), ("N", "")] {
            assert!(error(text).contains(field), "{}", error(text));
        }
    }
}
