//! Answering: final blocks with their certificates, from the database.

use assent_chain::Chain;
use assent_chain::storage::StorageError;
use assent_consensus::{Certificate, Phase};

use super::message::{Answer, Item, MAX_ANSWER_BYTES, MAX_BLOCKS, Request};

/// Blocks from a height on, as many as fit, ending with one that has a commit certificate of its own: a block that
/// became final through a later one is proven by that one.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn answer(chain: &Chain, request: Request, validators: usize) -> Result<Answer, StorageError> {
    let head = chain.head().number;
    let (mut items, mut bytes, mut proven) = (Vec::new(), 0, 0);
    let mut height = request.from.max(1);
    while height <= head {
        let full = items.len() >= MAX_BLOCKS || bytes >= MAX_ANSWER_BYTES;
        if full && proven > 0 {
            break;
        }
        let (Some(block), Some(certificate)) = (chain.block_by_number(height)?, chain.certificate(height)?) else {
            break;
        };
        let commits = Certificate::decode(&certificate, validators).is_ok_and(|c| c.phase == Phase::Commit);
        bytes += block.encoded().len() + certificate.len();
        items.push(Item { block: block.encoded().clone(), certificate });
        if commits {
            proven = items.len();
        }
        height += 1;
    }
    items.truncate(proven);
    Ok(Answer { id: request.id, items })
}
