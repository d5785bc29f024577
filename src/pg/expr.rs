//! Expressions of a statement, seen from safe code.
//! Knows the server's node types so that `plan::qual` need not.
#![allow(unsafe_code)]

use crate::pg::catalog::text_of;
use crate::pg::list;
use pgrx::pg_sys;
use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr;

/// An expression of the statement being planned; it lives as long as the planner's memory.
#[derive(Clone, Copy)]
pub struct Expression<'a> {
    node: *mut pg_sys::Node,
    planner: PhantomData<&'a ()>,
}

/// What an expression is.
pub enum View<'a> {
    /// A column.
    Column {
        /// Index of its relation in the range table.
        relation: u32,
        /// Its number.
        attribute: i16,
    },
    /// A constant; see [`Expression::constant`].
    Constant,
    /// All of these.
    And(Vec<Expression<'a>>),
    /// Any of these.
    Or(Vec<Expression<'a>>),
    /// Not this.
    Not(Expression<'a>),
    /// A binary operator of the server's own.
    Operation {
        /// Its name.
        name: &'a str,
        /// It compares texts by their bytes, so that equal means identical.
        deterministic: bool,
        /// Left side.
        left: Expression<'a>,
        /// Right side.
        right: Expression<'a>,
    },
    /// `left operator ANY/ALL (array)` with an operator of the server's own.
    ArrayOperation {
        /// The operator's name.
        name: &'a str,
        /// ANY rather than ALL.
        any: bool,
        /// It compares texts by their bytes.
        deterministic: bool,
        /// Left side.
        left: Expression<'a>,
        /// The array.
        array: Expression<'a>,
    },
    /// `IS NULL`, `IS NOT NULL`.
    NullTest {
        /// What is tested.
        argument: Expression<'a>,
        /// `IS NULL`.
        is_null: bool,
    },
    /// `IS TRUE` and its kin.
    TruthTest {
        /// What is tested.
        argument: Expression<'a>,
        /// Which truth value; nothing for UNKNOWN.
        value: Option<bool>,
        /// `IS NOT …`.
        negated: bool,
    },
    /// A binary-compatible relabelling: the value stays as it is.
    Relabel(Expression<'a>),
    /// A cast by a function of the server's own, with one argument.
    Cast {
        /// What is cast.
        argument: Expression<'a>,
        /// From which type.
        from: pg_sys::Oid,
        /// To which type.
        to: pg_sys::Oid,
    },
    /// Anything else.
    Other,
}

/// A call of one of the server's own aggregates.
pub struct AggregateCall<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its arguments; none for `count(*)`.
    pub arguments: Vec<Expression<'a>>,
    /// It has a FILTER, DISTINCT, ORDER BY or VARIADIC of its own, or is half of a split aggregate.
    pub is_modified: bool,
}

impl<'a> Expression<'a> {
    /// Wraps a node.
    ///
    /// # Safety
    /// `node` is a valid expression that lives for `'a`.
    pub unsafe fn new<T>(node: *mut T) -> Self {
        Self {
            node: node.cast(),
            planner: PhantomData,
        }
    }

    /// The clause of a `RestrictInfo`.
    ///
    /// # Safety
    /// `info` is a valid restriction that lives for `'a`.
    pub unsafe fn of_restriction(info: *mut pg_sys::RestrictInfo) -> Self {
        // SAFETY: the caller's restriction is valid.
        unsafe { Self::new((*info).clause) }
    }

    /// The node itself, to go back into a plan.
    pub fn node(self) -> *mut pg_sys::Node {
        self.node
    }

    /// Its type.
    pub fn type_oid(self) -> pg_sys::Oid {
        // SAFETY: valid by the constructor's contract.
        unsafe { pg_sys::exprType(self.node) }
    }

    /// It has one value for a whole scan: it names no column of this statement level and calls nothing volatile.
    /// Parameters and the results of uncorrelated subqueries are fixed.
    pub fn is_fixed(self) -> bool {
        // SAFETY: valid by the constructor's contract.
        unsafe {
            !pg_sys::contain_var_clause(self.node)
                && !pg_sys::contain_volatile_functions(self.node)
                && !pg_sys::contain_subplans(self.node)
        }
    }

    /// It names a column.
    pub fn names_columns(self) -> bool {
        // SAFETY: valid by the constructor's contract.
        unsafe { pg_sys::contain_var_clause(self.node) }
    }

    /// The value of a constant: nothing if this is none, an absent datum if it is null.
    pub fn constant(self) -> Option<(pg_sys::Oid, Option<pg_sys::Datum>)> {
        // SAFETY: valid by the constructor's contract, and the cast follows the tag.
        unsafe {
            if (*self.node).type_ != pg_sys::NodeTag::T_Const {
                return None;
            }
            let constant = self.node.cast::<pg_sys::Const>();
            let value = (!(*constant).constisnull).then_some((*constant).constvalue);
            Some(((*constant).consttype, value))
        }
    }

    /// The aggregate that this calls, if it is one of the server's own.
    pub fn aggregate(self) -> Option<AggregateCall<'a>> {
        // SAFETY: valid by the constructor's contract, and the cast follows the tag.
        unsafe {
            if (*self.node).type_ != pg_sys::NodeTag::T_Aggref {
                return None;
            }
            let call = self.node.cast::<pg_sys::Aggref>();
            if !is_builtin((*call).aggfnoid) {
                return None;
            }
            let arguments = list::pointers::<pg_sys::TargetEntry>((*call).args)
                .map(|entry| Self::new((*entry).expr))
                .collect();
            Some(AggregateCall {
                name: text_of(pg_sys::get_func_name((*call).aggfnoid)),
                arguments,
                is_modified: !(*call).aggfilter.is_null()
                    || !(*call).aggdistinct.is_null()
                    || !(*call).aggorder.is_null()
                    || (*call).aggvariadic
                    || (*call).aggsplit != pg_sys::AggSplit::AGGSPLIT_SIMPLE,
            })
        }
    }

    /// This expression cast by the server's function `function` to `result`.
    #[must_use]
    pub fn cast_by(self, function: u32, result: pg_sys::Oid) -> Self {
        // SAFETY: builds a node in the planner's memory around a valid one.
        unsafe {
            let arguments = list::from_pointers([self.node]);
            Self::new(pg_sys::makeFuncExpr(
                pg_sys::Oid::from(function),
                result,
                arguments,
                pg_sys::InvalidOid,
                pg_sys::InvalidOid,
                pg_sys::CoercionForm::COERCE_EXPLICIT_CAST,
            ))
        }
    }

    /// What it is.
    pub fn view(self) -> View<'a> {
        // SAFETY: valid by the constructor's contract, and each cast follows the node's tag.
        unsafe {
            match (*self.node).type_ {
                pg_sys::NodeTag::T_Var => {
                    let var = self.node.cast::<pg_sys::Var>();
                    if (*var).varlevelsup > 0 {
                        return View::Other;
                    }
                    View::Column {
                        relation: (*var).varno as u32,
                        attribute: (*var).varattno,
                    }
                }
                pg_sys::NodeTag::T_Const => View::Constant,
                pg_sys::NodeTag::T_BoolExpr => {
                    let expr = self.node.cast::<pg_sys::BoolExpr>();
                    let arguments = expressions((*expr).args);
                    match (*expr).boolop {
                        pg_sys::BoolExprType::AND_EXPR => View::And(arguments),
                        pg_sys::BoolExprType::OR_EXPR => View::Or(arguments),
                        _ => View::Not(arguments[0]),
                    }
                }
                pg_sys::NodeTag::T_RestrictInfo => Self::of_restriction(self.node.cast()).view(),
                pg_sys::NodeTag::T_OpExpr => {
                    let expr = self.node.cast::<pg_sys::OpExpr>();
                    let arguments = expressions((*expr).args);
                    match (builtin_operator((*expr).opno), arguments.as_slice()) {
                        (Some(name), [left, right]) => View::Operation {
                            name,
                            deterministic: is_deterministic((*expr).inputcollid),
                            left: *left,
                            right: *right,
                        },
                        _ => View::Other,
                    }
                }
                pg_sys::NodeTag::T_ScalarArrayOpExpr => {
                    let expr = self.node.cast::<pg_sys::ScalarArrayOpExpr>();
                    let arguments = expressions((*expr).args);
                    match (builtin_operator((*expr).opno), arguments.as_slice()) {
                        (Some(name), [left, array]) => View::ArrayOperation {
                            name,
                            any: (*expr).useOr,
                            deterministic: is_deterministic((*expr).inputcollid),
                            left: *left,
                            array: *array,
                        },
                        _ => View::Other,
                    }
                }
                pg_sys::NodeTag::T_NullTest => {
                    let test = self.node.cast::<pg_sys::NullTest>();
                    if (*test).argisrow {
                        return View::Other;
                    }
                    View::NullTest {
                        argument: Self::new((*test).arg),
                        is_null: (*test).nulltesttype == pg_sys::NullTestType::IS_NULL,
                    }
                }
                pg_sys::NodeTag::T_BooleanTest => {
                    let test = self.node.cast::<pg_sys::BooleanTest>();
                    let (value, negated) = match (*test).booltesttype {
                        pg_sys::BoolTestType::IS_TRUE => (Some(true), false),
                        pg_sys::BoolTestType::IS_NOT_TRUE => (Some(true), true),
                        pg_sys::BoolTestType::IS_FALSE => (Some(false), false),
                        pg_sys::BoolTestType::IS_NOT_FALSE => (Some(false), true),
                        pg_sys::BoolTestType::IS_UNKNOWN => (None, false),
                        _ => (None, true),
                    };
                    View::TruthTest {
                        argument: Self::new((*test).arg),
                        value,
                        negated,
                    }
                }
                pg_sys::NodeTag::T_RelabelType => {
                    let relabel = self.node.cast::<pg_sys::RelabelType>();
                    View::Relabel(Self::new((*relabel).arg))
                }
                pg_sys::NodeTag::T_FuncExpr => {
                    let call = self.node.cast::<pg_sys::FuncExpr>();
                    let arguments = expressions((*call).args);
                    let is_cast = (*call).funcformat != pg_sys::CoercionForm::COERCE_EXPLICIT_CALL
                        && is_builtin((*call).funcid);
                    match arguments.as_slice() {
                        [argument] if is_cast => View::Cast {
                            argument: *argument,
                            from: argument.type_oid(),
                            to: (*call).funcresulttype,
                        },
                        _ => View::Other,
                    }
                }
                _ => View::Other,
            }
        }
    }

    /// The expression as SQL, its columns named as in `relation`, whose index in the range table is `index`.
    /// For plain comparisons while a statement is planned; a whole plan has [`crate::pg::explain`].
    pub fn to_sql(self, relation: pg_sys::Oid, index: u32) -> String {
        // SAFETY: works on a copy; the result is copied out of the planner's memory.
        unsafe {
            let copy = pg_sys::copyObjectImpl(self.node.cast()).cast::<pg_sys::Node>();
            pg_sys::ChangeVarNodes(copy, index as i32, 1, 0);
            detach_from_plan(copy, ptr::null_mut());
            let alias =
                CString::new(crate::pg::catalog::relation_name(relation)).unwrap_or_default();
            let context = pg_sys::deparse_context_for(alias.as_ptr(), relation);
            text_of(pg_sys::deparse_expression(copy, context, false, false)).to_owned()
        }
    }
}

/// The numbers of the columns of relation `index` that the expressions name: 0 for the whole row, negative for
/// system columns.
///
/// # Safety
/// `node` is null or a valid expression or list of expressions.
pub unsafe fn columns_named(node: *mut pg_sys::Node, index: u32, into: &mut Vec<i16>) {
    let mut set: *mut pg_sys::Bitmapset = ptr::null_mut();
    // SAFETY: the caller's node is valid; the set lives in the current context.
    unsafe {
        pg_sys::pull_varattnos(node, index, &raw mut set);
        let mut member = -1;
        loop {
            member = pg_sys::bms_next_member(set, member);
            if member < 0 {
                break;
            }
            let number = member + pg_sys::FirstLowInvalidHeapAttributeNumber;
            if let Ok(number) = i16::try_from(number)
                && !into.contains(&number)
            {
                into.push(number);
            }
        }
    }
}

/// Makes a copy fit to be told without a plan: parameters become ones of the client's, for the server looks for the
/// others in a plan (since 17 it does not check whether there is one), and columns forget the join they came through.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn detach_from_plan(
    node: *mut pg_sys::Node,
    context: *mut std::ffi::c_void,
) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walker hands over nodes of the copy, and the cast follows the tag.
    unsafe {
        match (*node).type_ {
            pg_sys::NodeTag::T_Param => {
                (*node.cast::<pg_sys::Param>()).paramkind = pg_sys::ParamKind::PARAM_EXTERN;
            }
            pg_sys::NodeTag::T_Var => (*node.cast::<pg_sys::Var>()).varnosyn = 0,
            _ => {}
        }
        pg_sys::expression_tree_walker(node, Some(detach_from_plan), context)
    }
}

unsafe fn expressions<'a>(list: *mut pg_sys::List) -> Vec<Expression<'a>> {
    // SAFETY: the caller's list holds expressions.
    unsafe {
        list::pointers::<pg_sys::Node>(list)
            .map(|node| Expression::new(node))
            .collect()
    }
}

/// Objects below this identifier come with the server and mean what their name says.
pub fn is_builtin(oid: pg_sys::Oid) -> bool {
    oid.to_u32() < pg_sys::FirstGenbkiObjectId
}

unsafe fn builtin_operator<'a>(operator: pg_sys::Oid) -> Option<&'a str> {
    if !is_builtin(operator) {
        return None;
    }
    // SAFETY: a cache look-up; the name is copied into the planner's memory.
    unsafe { Some(text_of(pg_sys::get_opname(operator))) }
}

fn is_deterministic(collation: pg_sys::Oid) -> bool {
    // SAFETY: a cache look-up of a valid collation.
    collation == pg_sys::InvalidOid || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}
