//! Parameters.

use std::io::{Read, Write};

use striae_cost_model::CkksParams;

use super::header::{Expected, FileKind, Fingerprint, Header, Identity, KeyId};
use super::{SerialError, stream};

/// The notation of the longest chain is far below this. Finding the primes of a chain takes time quadratic in their number.
const MAX_BYTES: u64 = 1 << 9;

/// Writes parameters.
pub fn write_params(params: &CkksParams, out: &mut dyn Write) -> Result<(), SerialError> {
    let text = params.to_string();
    let identity = Identity { fingerprint: Fingerprint::of(params)?, key: KeyId([0; 16]) };
    let header = Header { kind: FileKind::Parameters, identity, payload: text.len() as u64 };
    stream::write(out, &header, |writer| writer.bytes(text.as_bytes()))
}

/// Reads parameters from a file of `len` bytes.
pub fn read_params(input: &mut dyn Read, len: u64) -> Result<CkksParams, SerialError> {
    let expected = Expected { kind: FileKind::Parameters, fingerprint: None, key: Some(KeyId([0; 16])) };
    stream::read(input, len, &expected, |reader, identity| {
        const FIELD: &str = "parameters";
        if reader.left() > MAX_BYTES {
            return Err(SerialError::TooLong { field: FIELD, extra: reader.left() - MAX_BYTES });
        }
        let mut bytes = vec![0; reader.left() as usize];
        reader.bytes(FIELD, &mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|e| SerialError::value(FIELD, &e, "text"))?;
        let params: CkksParams = text.parse().map_err(|e| SerialError::value(FIELD, &text, format!("others: {e}")))?;
        let expected = Fingerprint::of(&params)?;
        if identity.fingerprint == expected {
            Ok(params)
        } else {
            Err(SerialError::Parameters { found: identity.fingerprint, expected })
        }
    })
}
