//! Exports of 1,000 records that can be run again and again, and what must be true when one has got through.

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, Database, Place, Refusal, Row};
use serde_json::{Value, json};

/// Records of one export.
pub const RECORDS: u64 = 1_000;
/// Records that an upsert finds; it makes the others.
const FOUND: u64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// New records, each with a journal key of the extension's.
    CreateWithKey,
    /// New records that nothing tells apart.
    Create,
    /// By an external id: half of them are there.
    Upsert,
    Update,
    Delete,
}

/// What is exported, and which way.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    pub kind: Kind,
    pub in_jobs: bool,
}

impl Export {
    /// All that can be settled whatever happens.
    pub fn all(crm: &Crm) -> Vec<Self> {
        let mut all = vec![
            Self::by_calls(Kind::CreateWithKey),
            Self::by_calls(Kind::Upsert),
            Self::by_calls(Kind::Update),
            Self::by_calls(Kind::Delete),
        ];
        if crm.writes.chooses_identifiers {
            all.push(Self::by_calls(Kind::Create));
        }
        if crm.writes.by_jobs.is_some() {
            all.extend([
                Self::by_jobs(Kind::Create),
                Self::by_jobs(Kind::CreateWithKey),
                Self::by_jobs(Kind::Upsert),
                Self::by_jobs(Kind::Update),
                Self::by_jobs(Kind::Delete),
            ]);
        }
        all
    }

    pub const fn by_calls(kind: Kind) -> Self {
        Self {
            kind,
            in_jobs: false,
        }
    }

    pub const fn by_jobs(kind: Kind) -> Self {
        Self {
            kind,
            in_jobs: true,
        }
    }

    pub fn label(self) -> String {
        let way = if self.in_jobs { "jobs" } else { "calls" };
        format!("{:?}_{way}", self.kind).to_lowercase()
    }

    /// Calls that carry records.
    pub fn n_calls(self, crm: &Crm) -> u64 {
        RECORDS / crm.writes.small_batch
    }

    /// Method and part of the path of the call that carries records as the n-th, from zero, and how many pass before
    /// that look the same.
    pub fn call(self, crm: &Crm, n: u64) -> (&'static str, &'static str, u64) {
        let writes = &crm.writes;
        let (method, path) = match self.kind {
            Kind::Create => writes.create,
            Kind::CreateWithKey => writes.create_with_key,
            Kind::Update => writes.update,
            Kind::Delete => writes.delete,
            Kind::Upsert => {
                let of_each = self.n_calls(crm) / writes.upsert.len() as u64;
                let (method, path) = writes.upsert[(n / of_each) as usize];
                return (method, path, n % of_each);
            }
        };
        (method, path, n)
    }
}

/// A bench on which one export is run many times, each time with other values under a job of its own.
pub struct Stand {
    pub bench: Bench,
    pub export: Export,
    round: u32,
    /// Records that are there from the start, for what changes or deletes some.
    there: Vec<String>,
}

impl Stand {
    pub async fn new(place: Place, crm: &'static Crm, export: Export) -> Self {
        let bench = Bench::of_on(place, crm, &export.label(), Config::default()).await;
        bench.collect(&["contact"]).await;
        let writes = &crm.writes;
        let transport = match export.in_jobs {
            true => writes.by_jobs,
            false => writes.by_calls,
        };
        let key = match export.kind {
            Kind::CreateWithKey => Some("journal_key"),
            Kind::Upsert => Some("key"),
            _ => None,
        };
        let key_field = crm.field("contact", "externalkey");
        let options: Vec<_> = [
            transport.map(|transport| format!("ADD transport '{transport}'")),
            key.map(|option| format!("ADD {option} '{key_field}'")),
            (writes.small_batch_option()).map(|size| format!("ADD batch_size '{size}'")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !options.is_empty() {
            let options = options.join(", ");
            let sql = format!("ALTER FOREIGN TABLE contact OPTIONS ({options})");
            bench.db.run(&sql).await;
        }
        bench
            .db
            .run(&format!(
                "CREATE TABLE wanted (id {});
                 CREATE FUNCTION is_readable(i bigint) RETURNS boolean LANGUAGE plpgsql AS $$
                 BEGIN
                     IF current_setting('crash.at', true) = i::text THEN RAISE 'the source breaks'; END IF;
                     RETURN true;
                 END $$",
                crm.identifiers.sql_type
            ))
            .await;
        let n_there = match export.kind {
            Kind::Update | Kind::Delete => RECORDS,
            Kind::Upsert => FOUND,
            _ => 0,
        };
        if n_there > 0 {
            let record = |i| json!({"firstname": "Given", "lastname": format!("There {i}"), "department": "there", "externalkey": format!("T-{i}")});
            let records: Vec<Value> = (1..=n_there).map(record).collect();
            bench.change("contact", json!({"create": records})).await;
        }
        let there = bench.find("contact", "department", "there").await;
        assert_eq!(there.len() as u64, n_there);
        for ids in there.chunks(500) {
            let rows: Vec<_> = ids.iter().map(|id| format!("('{id}')")).collect();
            let sql = format!("INSERT INTO wanted VALUES {}", rows.join(", "));
            bench.db.run(&sql).await;
        }
        Self {
            bench,
            export,
            round: 0,
            there,
        }
    }

    /// Everything begins anew: other values, another job.
    pub async fn begin_round(&mut self) {
        self.round += 1;
        let admin = &self.bench.admin;
        if self.export.kind == Kind::Delete && self.round > 1 {
            let back = json!({"ids": self.there, "undelete": true});
            self.bench.change("contact", back).await;
        }
        admin.clear_faults().await;
        admin.clear_counters().await;
    }

    pub fn job(&self) -> String {
        format!("{} {}", self.bench.name, self.round)
    }

    /// The value that all records of this round have and no other.
    fn mark(&self) -> String {
        format!("Round {}", self.round)
    }

    pub fn sql(&self) -> String {
        let (mark, round) = (self.mark(), self.round);
        let insert = |columns: &str, values: &str| {
            format!(
                "INSERT INTO contact (department, firstname, {columns}) SELECT '{mark}', 'Given', {values} \
                 FROM generate_series(1, {RECORDS}) i WHERE is_readable(i) RETURNING id"
            )
        };
        match self.export.kind {
            Kind::Create | Kind::CreateWithKey => {
                insert("lastname", &format!("'Made {round}-' || i"))
            }
            Kind::Upsert => insert(
                "lastname, externalkey",
                &format!(
                    "'Made {round}-' || i, CASE WHEN i <= {FOUND} THEN 'T-' || i ELSE 'N-{round}-' || i END"
                ),
            ),
            Kind::Update => format!(
                "UPDATE contact SET department = '{mark}' WHERE id = ANY (ARRAY(SELECT id FROM wanted)) RETURNING id"
            ),
            Kind::Delete => {
                "DELETE FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted)) RETURNING id"
                    .to_owned()
            }
        }
    }

    /// A session under the round's job.
    pub async fn session(&self) -> Database {
        let session = self.bench.session().await;
        self.enter(&session).await;
        session
    }

    /// Puts a session under the round's job.
    pub async fn enter(&self, session: &Database) {
        let job = self.job();
        session
            .run(&format!("SET crm.export_job = '{job}'; RESET crash.at"))
            .await;
    }

    /// Runs the statement in a session under the round's job.
    pub async fn run(&self, session: &Database) -> Result<Vec<String>, Option<Refusal>> {
        let rows = session.attempt(&self.sql()).await?;
        let id = |mut row: Row| row.pop().flatten().expect("an identifier");
        Ok(rows.into_iter().map(id).collect())
    }

    /// What must be true when the statement has got through, whatever happened before: each record is in the CRM once,
    /// every identifier came back, the job is finished, and no more than `spare` records travelled in vain.
    pub async fn check(&self, ids: &[String], spare: u64, what: &str) {
        let (bench, admin) = (&self.bench, &self.bench.admin);
        let what = format!("{} {what}", self.export.label());
        let mut returned = ids.to_vec();
        returned.sort_unstable();
        let n_returned = returned.len();
        returned.dedup();
        assert_eq!(returned.len(), n_returned, "{what}: an id came twice");
        assert_eq!(n_returned as u64, RECORDS, "{what}");
        let mut there = self.there.clone();
        there.sort_unstable();
        if self.export.kind == Kind::Delete {
            assert_eq!(returned, there, "{what}");
            let left = bench.find("contact", "department", "there").await;
            assert!(left.is_empty(), "{what}: {} left", left.len());
        } else {
            let mut marked = bench.find("contact", "department", &self.mark()).await;
            marked.sort_unstable();
            assert_eq!(returned, marked, "{what}");
        }
        if matches!(
            self.export.kind,
            Kind::Create | Kind::CreateWithKey | Kind::Upsert
        ) {
            // Each row got back the id of its own record.
            for at in [0, 1, 199, 200, 499, 500, 998, 999] {
                let name = format!("Made%20{}-{}", self.round, at + 1);
                let found = bench.find("contact", "lastname", &name).await;
                assert_eq!(found, [ids[at].clone()], "{what}: record {}", at + 1);
            }
        }
        let report = admin.requests().await;
        let writes = &report["writes"];
        let count = |name: &str| writes[name].as_u64().expect("a counter");
        let (created, updated, deleted) = (count("created"), count("updated"), count("deleted"));
        let exactly = match self.export.kind {
            Kind::Create | Kind::CreateWithKey => (RECORDS, 0, 0),
            Kind::Upsert => (RECORDS - FOUND, FOUND, 0),
            Kind::Update => (0, RECORDS, 0),
            Kind::Delete => (0, 0, RECORDS),
        };
        assert_eq!(
            (created, deleted),
            (exactly.0, exactly.2),
            "{what}: {writes}"
        );
        let in_vain = updated - exactly.1;
        assert!(in_vain <= spare, "{what}: {in_vain} sent in vain");
        let job = self.job();
        let state = self
            .bench
            .db
            .rows(&format!(
                "SELECT state, accepted, rejected, pending, unknown FROM crm.export_jobs WHERE job = '{job}'"
            ))
            .await;
        let expected = ["finished", "1000", "0", "0", "0"].map(|text| Some(text.to_owned()));
        assert_eq!(state, [expected], "{what}");
    }

    /// A rerun of a finished statement's job would begin anew: its list is dropped. So are the records that were made:
    /// the CRM has no more of them at the last round than at the first.
    pub async fn end_round(&self) {
        let (bench, crm) = (&self.bench, self.bench.crm);
        let mut made = bench.find("contact", "department", &self.mark()).await;
        made.retain(|id| !self.there.contains(id));
        if !made.is_empty() {
            let away = json!({"ids": made, "delete": crm.writes.logged_removal});
            bench.change("contact", away).await;
        }
        let job = self.job();
        let sql = format!("SELECT crm.forget_export('{job}')");
        assert_eq!(self.bench.db.value(&sql).await, "t");
    }
}
