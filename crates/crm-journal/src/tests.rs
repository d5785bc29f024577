//! Crashes at every byte, full disks, harmed bytes: what a job finds afterwards is what was durable.
//! Folder, locks and listings are tested from outside, in `tests/`.

mod crash;
mod disk;
mod history;
