/*
 * The least that rows cost PostgreSQL: a foreign data wrapper that gives out rows it has ready.
 *
 * Table options: "sample", a local table of the same columns, of which the first rows are kept; "rows", how many rows
 * to give out, the kept ones again and again. A value that is passed by reference is copied for each row, as a
 * wrapper must that does not keep all rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_raw_handler);

#define KEPT_ROWS 2000

typedef struct RawScan
{
	int64		given;
	int64		wanted;
	int			kept;
	Datum	   *values;
	bool	   *nulls;
} RawScan;

static char *
table_option(Oid table, const char *name)
{
	ListCell   *cell;

	foreach(cell, GetForeignTable(table)->options)
	{
		DefElem    *option = (DefElem *) lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND), errmsg("option \"%s\" is missing", name)));
}

static void
raw_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid table)
{
	rel->rows = (double) pg_strtoint64(table_option(table, "rows"));
}

static void
raw_paths(PlannerInfo *root, RelOptInfo *rel, Oid table)
{
	/* Cheap, so that nobody thinks of compiling expressions for it. */
	add_path(rel, (Path *) create_foreignscan_path(root, rel, NULL, rel->rows, 1, 2, NIL, NULL, NULL, NIL));
}

static ForeignScan *
raw_plan(PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *path, List *tlist, List *clauses, Plan *outer)
{
	return make_foreignscan(tlist, extract_actual_clauses(clauses, false), rel->relid, NIL, NIL, NIL, NIL, outer);
}

static void
raw_begin(ForeignScanState *node, int eflags)
{
	Oid			table = RelationGetRelid(node->ss.ss_currentRelation);
	TupleDesc	shape = RelationGetDescr(node->ss.ss_currentRelation);
	MemoryContext query = CurrentMemoryContext;
	RawScan    *scan = palloc0(sizeof(RawScan));
	char	   *sample = psprintf("SELECT * FROM %s LIMIT %d", table_option(table, "sample"), KEPT_ROWS);

	node->fdw_state = scan;
	scan->wanted = pg_strtoint64(table_option(table, "rows"));
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	SPI_connect();
	if (SPI_execute(sample, true, 0) != SPI_OK_SELECT || SPI_processed == 0)
		elog(ERROR, "the sample has no rows");
	scan->kept = (int) SPI_processed;
	scan->values = MemoryContextAlloc(query, sizeof(Datum) * scan->kept * shape->natts);
	scan->nulls = MemoryContextAlloc(query, sizeof(bool) * scan->kept * shape->natts);
	for (int row = 0; row < scan->kept; row++)
	{
		Datum	   *values = scan->values + row * shape->natts;
		bool	   *nulls = scan->nulls + row * shape->natts;
		MemoryContext before;

		heap_deform_tuple(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, values, nulls);
		before = MemoryContextSwitchTo(query);
		for (int column = 0; column < shape->natts; column++)
		{
			Form_pg_attribute attribute = TupleDescAttr(shape, column);

			if (!nulls[column])
				values[column] = datumCopy(values[column], attribute->attbyval, attribute->attlen);
		}
		MemoryContextSwitchTo(before);
	}
	SPI_finish();
}

static TupleTableSlot *
raw_iterate(ForeignScanState *node)
{
	RawScan    *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	TupleDesc	shape = slot->tts_tupleDescriptor;
	Datum	   *values;
	bool	   *nulls;

	ExecClearTuple(slot);
	if (scan->given == scan->wanted)
		return slot;
	values = scan->values + (scan->given % scan->kept) * shape->natts;
	nulls = scan->nulls + (scan->given % scan->kept) * shape->natts;
	for (int column = 0; column < shape->natts; column++)
	{
		Form_pg_attribute attribute = TupleDescAttr(shape, column);

		slot->tts_isnull[column] = nulls[column];
		slot->tts_values[column] = nulls[column]
			? (Datum) 0
			: datumCopy(values[column], attribute->attbyval, attribute->attlen);
	}
	scan->given++;
	return ExecStoreVirtualTuple(slot);
}

static void
raw_rescan(ForeignScanState *node)
{
	((RawScan *) node->fdw_state)->given = 0;
}

static void
raw_end(ForeignScanState *node)
{
}

Datum
bench_raw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = raw_rel_size;
	routine->GetForeignPaths = raw_paths;
	routine->GetForeignPlan = raw_plan;
	routine->BeginForeignScan = raw_begin;
	routine->IterateForeignScan = raw_iterate;
	routine->ReScanForeignScan = raw_rescan;
	routine->EndForeignScan = raw_end;
	PG_RETURN_POINTER(routine);
}
