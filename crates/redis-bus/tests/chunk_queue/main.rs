//! The queue on a real Redis: what is admitted, who is handed it, and what is settled.

mod admission;
mod concurrent;
mod damage;
mod giving_back;
mod lost_answers;
mod mixed;
mod reading;
mod readmission;
mod replay;
mod replayer;
mod scene;
mod settlement;
mod split;
mod status;
mod transaction;
