//! From the path that won to the plan node.

use crate::fdw::join::columns::Columns;
use crate::fdw::join::path::{LookupPath, is_pushed_down, reads_nothing};
use crate::fdw::join::{NAME, SCAN};
use crate::fdw::planning::planning_of;
use crate::pg::expr::Expression;
use crate::pg::list;
use crate::plan::lookup_join::{LookupClause, LookupJoinPlan};
use pgrx::{PgBox, pg_guard, pg_sys};

/// Makes the node: the other side's plan below it, its own expressions over the joined row, everything else as text.
#[pg_guard]
pub unsafe extern "C-unwind" fn plan_lookup_join(
    _root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    best_path: *mut pg_sys::CustomPath,
    target_list: *mut pg_sys::List,
    _clauses: *mut pg_sys::List,
    custom_plans: *mut pg_sys::List,
) -> *mut pg_sys::Plan {
    // SAFETY: the planner's own pointers; the path was made by `path` in this module's parent.
    unsafe {
        let path = &*best_path.cast::<LookupPath>();
        let table = path.table;
        let index = (*table).relid;
        let planning = planning_of(table).unwrap_or_else(|| not_ours());
        let outer = pg_sys::list_nth(custom_plans, 0).cast::<pg_sys::Plan>();

        let conditions = by_security((*table).baserestrictinfo);
        let (late, matching): (Vec<_>, Vec<_>) = by_security(path.conditions)
            .into_iter()
            .partition(|info| path.kind.keeps_unmatched() && is_pushed_down(*info, joinrel));
        let place = matching.iter().position(|info| *info == path.clause);
        let clause = LookupClause::read(
            planning.plan.table(),
            index,
            Expression::of_restriction(path.clause),
        );
        let (Some(place), Some(clause)) = (place, clause) else {
            not_ours()
        };

        let mut columns = Columns::new((*outer).targetlist, table);
        // The planner may put another target list in later, over the columns that the join gives.
        columns.need(target_list.cast());
        columns.need((*(*joinrel).reltarget).exprs.cast());
        for info in late.iter().chain(&matching).chain(&conditions) {
            columns.need((**info).clause.cast());
        }
        let mut scan = {
            let all = planning.plan.table().columns.iter();
            let all = all.map(|column| column.number);
            // Of a row that is only written, the server wants a whole that nobody reads.
            let attributes = columns.attributes(all, &planning.attributes);
            planning.plan.lookup_scan(&attributes, path.n_keys)
        };
        if reads_nothing(planning, path.kind, table) {
            scan.trusts_identifiers = true;
            scan.estimated_calls = 0.0;
        }
        let plan = LookupJoinPlan {
            batch: planning.plan.lookup_batch(&scan),
            scan,
            kind: path.kind,
            sources: columns.sources(),
            identifier: clause.identifier,
            user: (*table).userid.to_u32(),
            n_conditions: conditions.len(),
            n_computed: columns.computed().len(),
            clause: place,
        };
        let actual = |infos: &[*mut pg_sys::RestrictInfo]| -> Vec<*mut pg_sys::Node> {
            infos
                .iter()
                .map(|info| columns.adapted((**info).clause.cast()))
                .collect()
        };
        let mut expressions = vec![columns.adapted(clause.key.node())];
        expressions.extend(actual(&conditions));
        expressions.extend(columns.computed().iter().map(|node| columns.adapted(*node)));
        expressions.extend(actual(&matching));

        let node = PgBox::<pg_sys::CustomScan>::alloc_node(pg_sys::NodeTag::T_CustomScan).into_pg();
        (*node).scan.plan.targetlist = columns.adapted(target_list.cast()).cast();
        (*node).scan.plan.qual = list::from_pointers(actual(&late));
        (*node).scan.plan.lefttree = outer;
        (*node).flags = path.custom.flags;
        (*node).custom_exprs = list::from_pointers(expressions);
        (*node).custom_private = list::carrying_text(&plan.to_text());
        (*node).custom_scan_tlist = columns.target_list();
        (*node).methods = &raw const SCAN.0;
        node.cast()
    }
}

/// In the order in which they may be checked: a condition of a view's author before one that could leak what it hides.
unsafe fn by_security(infos: *mut pg_sys::List) -> Vec<*mut pg_sys::RestrictInfo> {
    // SAFETY: the list holds restrictions of the planner.
    unsafe {
        let mut infos: Vec<*mut pg_sys::RestrictInfo> = list::pointers(infos).collect();
        infos.sort_by_key(|info| (**info).security_level);
        infos
    }
}

fn not_ours() -> ! {
    panic!("a path of {} without its table", NAME.to_string_lossy())
}
