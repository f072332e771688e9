//! What a condition is made of, found in one walk: how deep it is, which variables it reads, which
//! entities it names and looks into.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{BinaryOp, EntityUID, Expr, ExprKind, Literal, Var};

/// What a walk over a policy's condition found.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Shape {
    pub(crate) depth: usize,
    pub(crate) reads_principal: bool,
    pub(crate) reads_action: bool,
    pub(crate) reads_resource: bool,
    /// Entities whose own data the condition may look up by name (`Organization::"x".state`, or on
    /// the left of `in`), so that every set of entities it is evaluated against must hold them.
    /// Entities that are only compared with are not among them.
    pub(crate) looked_up: HashSet<Arc<EntityUID>>,
    /// Every entity that is named anywhere.
    pub(crate) named: HashSet<Arc<EntityUID>>,
    /// Paths of the attributes it reads, such as `context.proxy.verified`; of nested ones the
    /// longest. The principal is called `subject`, as in plugins' needs.
    pub(crate) reads: BTreeSet<String>,
}

impl Shape {
    /// The shape of this condition. Must run on a big stack.
    pub(crate) fn of(condition: Option<&Expr>) -> Self {
        let mut shape = Self::default();
        if let Some(condition) = condition {
            shape.walk(condition, 1, false);
        }
        let all = shape.reads.clone();
        shape.reads.retain(|path| !all.iter().any(|other| is_within(other, path)));
        shape
    }

    /// `compared`: the value of this expression is only compared, not looked into.
    fn walk(&mut self, expression: &Expr, depth: usize, compared: bool) {
        self.depth = self.depth.max(depth);
        let next = depth + 1;
        self.reads.extend(path(expression));
        match expression.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                self.named.insert(Arc::clone(uid));
                if !compared {
                    self.looked_up.insert(Arc::clone(uid));
                }
            }
            ExprKind::Lit(Literal::Bool(_) | Literal::Long(_) | Literal::String(_))
            | ExprKind::Slot(_)
            | ExprKind::Unknown(_) => {}
            ExprKind::Var(variable) => match variable {
                Var::Principal => self.reads_principal = true,
                Var::Action => self.reads_action = true,
                Var::Resource => self.reads_resource = true,
                Var::Context => {}
            },
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.walk(test_expr, next, false);
                self.walk(then_expr, next, compared);
                self.walk(else_expr, next, compared);
            }
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.walk(left, next, false);
                self.walk(right, next, false);
            }
            ExprKind::UnaryApp { arg, .. } => self.walk(arg, next, false),
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let (left_compared, right_compared) = match op {
                    BinaryOp::Eq | BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny => {
                        (true, true)
                    }
                    BinaryOp::In => (false, true),
                    BinaryOp::Less
                    | BinaryOp::LessEq
                    | BinaryOp::Add
                    | BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::GetTag
                    | BinaryOp::HasTag => (false, false),
                };
                self.walk(arg1, next, left_compared);
                self.walk(arg2, next, right_compared);
            }
            ExprKind::ExtensionFunctionApp { args, .. } => {
                for argument in args.iter() {
                    self.walk(argument, next, false);
                }
            }
            ExprKind::GetAttr { expr, .. }
            | ExprKind::HasAttr { expr, .. }
            | ExprKind::ExtHasAttr { expr, .. }
            | ExprKind::Like { expr, .. }
            | ExprKind::Is { expr, .. } => self.walk(expr, next, false),
            ExprKind::Set(elements) => {
                for element in elements.iter() {
                    self.walk(element, next, compared);
                }
            }
            ExprKind::Record(members) => {
                for member in members.values() {
                    self.walk(member, next, false);
                }
            }
        }
    }
}

/// Whether `longer` leads on from where `path` ends.
fn is_within(longer: &str, path: &str) -> bool {
    longer.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
}

/// The path of an attribute that is read or tested for, if it begins at a variable.
fn path(expression: &Expr) -> Option<String> {
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
            Some(format!("{}.{attr}", base(expr)?))
        }
        ExprKind::ExtHasAttr { expr, attrs } => {
            Some(attrs.iter().fold(base(expr)?, |path, attr| format!("{path}.{attr}")))
        }
        _ => None,
    }
}

fn base(expression: &Expr) -> Option<String> {
    match expression.expr_kind() {
        ExprKind::Var(Var::Principal) => Some("subject".to_owned()),
        ExprKind::Var(Var::Resource) => Some("resource".to_owned()),
        ExprKind::Var(Var::Context) => Some("context".to_owned()),
        _ => path(expression),
    }
}
