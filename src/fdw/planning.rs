//! The planner's callbacks: sizes, paths and plans.
#![allow(unsafe_code)]

use crate::error::OrRaise;
use crate::exec::changes;
use crate::options::CollectedTable;
use crate::pg::catalog::has_row_triggers;
use crate::pg::compat;
use crate::pg::expr::{Expression, columns_named, is_builtin};
use crate::pg::list;
use crate::plan::cost;
use crate::plan::order::{OrderKey, remote_order};
use crate::plan::private::ScanPlan;
use crate::plan::table::TablePlan;
use crate::plan::upper::aggregate_plan;
use crm_core::Sort;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

/// What the callbacks of one foreign table share while a statement is planned.
pub struct Planning {
    /// What is sent and what is checked here.
    pub plan: TablePlan<'static>,
    /// Its rows are only changed or deleted: no trigger looks at them.
    pub writes: bool,
    /// Columns that the statement needs.
    pub attributes: Vec<i16>,
    /// Records expected from the CRM.
    remote_rows: f64,
}

/// What was found out about a base relation, if it is a foreign table of ours.
///
/// # Safety
/// `rel` is null or a relation of the statement being planned.
pub unsafe fn planning_of<'a>(rel: *mut pg_sys::RelOptInfo) -> Option<&'a Planning> {
    // SAFETY: the caller's pointer; only our own get_foreign_rel_size stands in a routine beside such a structure.
    unsafe {
        let routine = rel.as_ref()?.fdwroutine.as_ref()?;
        let is_ours = routine.GetForeignRelSize.is_some_and(|callback| {
            callback as usize == get_foreign_rel_size as *const () as usize
        });
        let is_table = matches!(
            (*rel).reloptkind,
            pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL
        );
        if !is_ours || !is_table {
            return None;
        }
        (*rel).fdw_private.cast::<Planning>().as_ref()
    }
}

/// Reads options and statistics, judges the conditions, sets the expected rows.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_rel_size(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    foreigntableid: pg_sys::Oid,
) {
    // SAFETY: the planner's own pointers; what is made here lives in the planner's memory context.
    unsafe {
        let mut context = PgMemoryContexts::CurrentMemoryContext;
        let table = CollectedTable::read(foreigntableid).or_raise();
        table.warn_of_conversions();
        let table: &'static CollectedTable = &*context.leak_and_drop_on_delete(table);
        let index = (*baserel).relid;
        let conditions: Vec<_> =
            list::pointers::<pg_sys::RestrictInfo>((*baserel).baserestrictinfo)
                .map(|info| Expression::of_restriction(info))
                .collect();
        let plan = TablePlan::new(table, index, &conditions);

        (*baserel).tuples = cost::known_rows((*baserel).tuples);
        pg_sys::set_baserel_size_estimates(root, baserel);
        if let Some(n_identifiers) = plan.n_identifiers() {
            (*baserel).rows = (*baserel).rows.min(n_identifiers.max(1) as f64);
        } else if plan.is_lookup() {
            (*baserel).rows = (*baserel).rows.clamp(1.0, 1000.0);
        }
        let remote_rows = if plan.narrows() {
            remote_rows(root, baserel, &plan)
        } else {
            (*baserel).tuples
        };
        let writes = writes_alone(root, baserel, foreigntableid);
        let attributes = attributes_needed(root, baserel, &plan, &conditions, writes);
        let planning = Planning {
            plan,
            writes,
            attributes,
            remote_rows,
        };
        (*baserel).fdw_private = context.leak_and_drop_on_delete(planning).cast();
    }
}

/// Records that the pushed conditions let through, by the planner's own selectivities.
unsafe fn remote_rows(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    plan: &TablePlan<'_>,
) -> f64 {
    if plan.is_lookup() {
        // SAFETY: the planner's own pointer.
        return unsafe { (*baserel).rows };
    }
    // SAFETY: the planner's own pointers; the list is made here of its own elements.
    unsafe {
        let pushed = list::pointers::<pg_sys::RestrictInfo>((*baserel).baserestrictinfo)
            .enumerate()
            .filter(|(place, _)| plan.is_pushed(*place))
            .map(|(_, info)| info);
        let pushed = list::from_pointers(pushed.collect::<Vec<_>>());
        let selectivity = pg_sys::clauselist_selectivity(
            root,
            pushed,
            0,
            pg_sys::JoinType::JOIN_INNER,
            std::ptr::null_mut(),
        );
        ((*baserel).tuples * selectivity).max(1.0)
    }
}

/// The relation is what UPDATE or DELETE writes, and no row trigger looks at its rows.
unsafe fn writes_alone(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    relation: pg_sys::Oid,
) -> bool {
    // SAFETY: the planner's own pointers.
    unsafe {
        let parse = (*root).parse;
        let command = (*parse).commandType;
        let is_written = (*parse).resultRelation as u32 == (*baserel).relid
            && matches!(
                command,
                pg_sys::CmdType::CMD_UPDATE | pg_sys::CmdType::CMD_DELETE
            );
        is_written && !has_row_triggers(relation, command == pg_sys::CmdType::CMD_UPDATE)
    }
}

/// Columns of the target list and of the conditions checked here (S-1).
unsafe fn attributes_needed(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    plan: &TablePlan<'_>,
    conditions: &[Expression<'_>],
    writes: bool,
) -> Vec<i16> {
    let mut named = Vec::new();
    // SAFETY: the planner's own expressions.
    unsafe {
        let index = (*baserel).relid;
        columns_named((*(*baserel).reltarget).exprs.cast(), index, &mut named);
        if writes {
            // The server adds the whole row to every UPDATE; only a row that the statement names itself is needed.
            let parse = (*root).parse;
            let mut written = Vec::new();
            for entry in list::pointers::<pg_sys::TargetEntry>((*parse).targetList) {
                if !(*entry).resjunk {
                    columns_named((*entry).expr.cast(), index, &mut written);
                }
            }
            columns_named((*parse).jointree.cast(), index, &mut written);
            if !written.contains(&0) {
                named.retain(|number| *number != 0);
            }
        }
        for (place, condition) in conditions.iter().enumerate() {
            if plan.is_checked(place) {
                columns_named(condition.node(), index, &mut named);
            }
        }
    }
    let whole_row = named.contains(&0);
    plan.table()
        .columns
        .iter()
        .map(|column| column.number)
        .filter(|number| whole_row || named.contains(number))
        .collect()
}

/// A plain path, and one in the order the statement wants if the CRM sorts like that.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_paths(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    _foreigntableid: pg_sys::Oid,
) {
    // SAFETY: the planner's own pointers; the private structure was made in get_foreign_rel_size.
    unsafe {
        let planning = &*(*baserel).fdw_private.cast::<Planning>();
        let orders = [Vec::new(), wanted_order(root, baserel, planning)];
        for (at, sort) in orders.into_iter().enumerate() {
            if at == 1 && sort.is_empty() {
                continue;
            }
            let pathkeys = if sort.is_empty() {
                std::ptr::null_mut()
            } else {
                (*root).query_pathkeys
            };
            let limit = limit_of(root, baserel, planning, &sort);
            let scan = planning
                .plan
                .scan(&planning.attributes, sort, limit, planning.remote_rows);
            let rows = (*baserel).rows;
            let (startup, total) = cost::of_scan(scan.estimated_rows, scan.estimated_calls);
            let checks = cost::of_conditions((*baserel).baserestrictcost, scan.estimated_rows);
            let path = compat::create_foreignscan_path(
                root,
                baserel,
                rows,
                startup,
                total + checks,
                pathkeys,
                list::carrying_text(&scan.to_text()),
            );
            pg_sys::add_path(baserel, path);
        }
    }
}

/// The order of the whole statement, if every key of it is a field the CRM sorts alike; else none.
unsafe fn wanted_order(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    planning: &Planning,
) -> Vec<Sort> {
    let table = planning.plan.table();
    if planning.plan.is_lookup()
        || table.options.pushdown == crm_core::Pushdown::Off
        || changes::are_followed(table.relation)
    {
        return Vec::new();
    }
    // SAFETY: the planner's own pointers.
    unsafe {
        let keys: Vec<OrderKey<'_>> = list::pointers::<pg_sys::PathKey>((*root).query_pathkeys)
            .map(|key| OrderKey {
                expression: member_of(key, baserel),
                descending: compat::is_descending(key),
                nulls_first: (*key).pk_nulls_first,
            })
            .collect();
        remote_order(table, (*baserel).relid, &keys).unwrap_or_default()
    }
}

/// The expression of an equivalence class that is of this relation alone.
unsafe fn member_of<'a>(
    key: *mut pg_sys::PathKey,
    baserel: *mut pg_sys::RelOptInfo,
) -> Option<Expression<'a>> {
    // SAFETY: the planner's own pointers.
    unsafe {
        let class = (*key).pk_eclass;
        if (*class).ec_has_volatile || !is_builtin((*key).pk_opfamily) {
            return None;
        }
        compat::class_members(class, (*baserel).relids)
            .into_iter()
            .find(|member| pg_sys::bms_equal((**member).em_relids, (*baserel).relids))
            .map(|member| Expression::new((*member).em_expr))
    }
}

/// The statement's limit, if it is one on this relation alone and nothing is left to do here (S-7).
unsafe fn limit_of(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    planning: &Planning,
    sort: &[Sort],
) -> Option<u64> {
    // SAFETY: the planner's own pointers.
    unsafe {
        let parse = (*root).parse;
        let is_alone = (*baserel).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && pg_sys::bms_equal((*baserel).relids, (*root).all_baserels)
            && (*parse).setOperations.is_null()
            && (*parse).rowMarks.is_null();
        // The planner's number may be an estimate that a later execution of the plan exceeds: constants only.
        let is_constant =
            |node: *mut pg_sys::Node| !node.is_null() && (*node).type_ == pg_sys::NodeTag::T_Const;
        let is_hard = (1.0..=f64::from(i32::MAX)).contains(&(*root).limit_tuples)
            && (*parse).limitOption == pg_sys::LimitOption::LIMIT_OPTION_COUNT
            && is_constant((*parse).limitCount)
            && ((*parse).limitOffset.is_null() || is_constant((*parse).limitOffset));
        let is_sorted = (*root).query_pathkeys.is_null() || !sort.is_empty();
        let is_off = planning.plan.table().options.pushdown == crm_core::Pushdown::Off;
        (is_alone && is_hard && is_sorted && !is_off && planning.plan.is_exact())
            .then_some((*root).limit_tuples as u64)
    }
}

/// Aggregates over one foreign table, if the CRM computes them like PostgreSQL.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input_rel: *mut pg_sys::RelOptInfo,
    output_rel: *mut pg_sys::RelOptInfo,
    _extra: *mut std::ffi::c_void,
) {
    // SAFETY: the planner's own pointers; a base relation of ours carries what get_foreign_rel_size made.
    unsafe {
        let parse = (*root).parse;
        let is_plain = stage == pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG
            && (*input_rel).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && !(*input_rel).fdw_private.is_null()
            && (*output_rel).fdw_private.is_null()
            && (*parse).groupClause.is_null()
            && (*parse).groupingSets.is_null()
            && (*parse).havingQual.is_null()
            && !(*root).hasPseudoConstantQuals;
        if !is_plain {
            return;
        }
        let planning = &*(*input_rel).fdw_private.cast::<Planning>();
        if !planning.plan.is_exact() {
            return;
        }
        let target = (*root).upper_targets[pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG as usize];
        let targets: Vec<_> = list::pointers::<pg_sys::Expr>((*target).exprs)
            .map(|expression| Expression::new(expression))
            .collect();
        let table = planning.plan.table();
        let records = planning
            .plan
            .scan(&[], Vec::new(), None, planning.remote_rows);
        let Some(mut scan) = aggregate_plan(table, (*input_rel).relid, &records, &targets) else {
            return;
        };
        // Conditions sent exactly are plain comparisons, which can be told here.
        for (place, info) in
            list::pointers::<pg_sys::RestrictInfo>((*input_rel).baserestrictinfo).enumerate()
        {
            scan.notes.push(planning.plan.note(Some(place)));
            let condition = Expression::of_restriction(info);
            scan.texts
                .push(condition.to_sql(table.relation, (*input_rel).relid));
        }
        let (startup, total) = cost::of_scan(scan.estimated_rows, scan.estimated_calls);
        // Marks the relation as seen, so that a second look adds no second path.
        (*output_rel).fdw_private = (*input_rel).fdw_private;
        let path = compat::create_foreign_upper_path(
            root,
            output_rel,
            target,
            1.0,
            startup,
            total,
            list::carrying_text(&scan.to_text()),
        );
        pg_sys::add_path(output_rel, path);
    }
}

/// The plan node: local conditions, parameters, and the scan's plan as text.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_plan(
    _root: *mut pg_sys::PlannerInfo,
    foreignrel: *mut pg_sys::RelOptInfo,
    _foreigntableid: pg_sys::Oid,
    best_path: *mut pg_sys::ForeignPath,
    tlist: *mut pg_sys::List,
    scan_clauses: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: the planner's own pointers; the path was made by one of the functions above.
    unsafe {
        let planning = &*(*foreignrel).fdw_private.cast::<Planning>();
        let mut scan = ScanPlan::from_text(list::carried_text((*best_path).fdw_private));
        let parameters = planning.plan.parameters().iter();
        let parameters = list::from_pointers(parameters.map(|expression| {
            pg_sys::copyObjectImpl(expression.node().cast()).cast::<pg_sys::Node>()
        }));
        if (*foreignrel).reloptkind == pg_sys::RelOptKind::RELOPT_UPPER_REL {
            let target = (*best_path).path.pathtarget;
            let scan_tlist = pg_sys::make_tlist_from_pathtarget(target);
            return pg_sys::make_foreignscan(
                tlist,
                std::ptr::null_mut(),
                0,
                parameters,
                list::carrying_text(&scan.to_text()),
                scan_tlist,
                std::ptr::null_mut(),
                outer_plan,
            );
        }
        let base: Vec<*mut pg_sys::RestrictInfo> =
            list::pointers((*foreignrel).baserestrictinfo).collect();
        let place_of =
            |info: &*mut pg_sys::RestrictInfo| base.iter().position(|candidate| candidate == info);
        let is_sent_exactly = |info: &*mut pg_sys::RestrictInfo| {
            place_of(info).is_some_and(|place| !planning.plan.is_checked(place))
        };
        let (exact, checked): (Vec<_>, Vec<_>) =
            list::pointers::<pg_sys::RestrictInfo>(scan_clauses)
                .filter(|info| !(**info).pseudoconstant)
                .partition(is_sent_exactly);
        let kept = exact.iter().chain(&checked);
        scan.notes = kept
            .map(|info| planning.plan.note(place_of(info)))
            .collect();
        let checks_only_identifiers = checked.len() == 1 && scan.lookup.is_some();
        let checked = pg_sys::extract_actual_clauses(list::from_pointers(checked), false);
        let exact = pg_sys::extract_actual_clauses(list::from_pointers(exact), false);
        // A join condition that a nested loop hands down is checked here too, so its columns are needed.
        let mut named = Vec::new();
        columns_named(checked.cast(), (*foreignrel).relid, &mut named);
        let missing: Vec<i16> = named
            .into_iter()
            .filter(|number| {
                scan.outputs
                    .iter()
                    .all(|output| output.attribute != *number)
            })
            .collect();
        planning.plan.add_outputs(&mut scan, &missing);
        scan.trusts_identifiers = planning.writes
            && checks_only_identifiers
            && scan.outputs.iter().all(|output| output.facts.identifier);
        pg_sys::make_foreignscan(
            tlist,
            checked,
            (*foreignrel).relid,
            parameters,
            list::carrying_text(&scan.to_text()),
            std::ptr::null_mut(),
            exact,
            outer_plan,
        )
    }
}
