//! Structured to flat: for one mode, repeats copied, composites written out, parameters found by their paths.

use crate::ir::attr::{Attr, Attrs};
use crate::ir::build::{Builder, Mode, Var};
use crate::ir::graph::{Graph, Param, Port, Source};
use crate::ir::op::{ParamCx, ParamDef, Role};
use crate::ir::params::matches;
use crate::ir::shape::Type;
use crate::ir::structured::{
    Item, OpItem, Part, Path, PortDef, Region, RepeatId, RepeatItem, Structured, Tail, ValueId,
};
use crate::ops::source::INPUT;
use crate::tensor::DType;
use indexmap::IndexMap;

/// A model under expansion: the builder, and what each value of the structured graph has become.
pub struct Expander<'a> {
    /// Where the flat graph grows.
    pub builder: &'a Builder,
    model: &'a Structured,
    values: Vec<Option<Var<'a>>>,
    copies: IndexMap<RepeatId, u64>,
    params: IndexMap<String, u32>,
}

/// An empty builder on the model's sizes.
pub fn builder(model: &Structured, mode: Mode, float: DType) -> Builder {
    Builder::new(Graph::over(model.shapes.clone()), mode, float)
}

impl<'a> Expander<'a> {
    /// Makes the inputs of the model and expands its body.
    pub fn new(model: &'a Structured, builder: &'a Builder) -> Expander<'a> {
        let values = vec![None; model.values.len()];
        let mut expander = Expander { builder, model, values, copies: IndexMap::new(), params: IndexMap::new() };
        expander.inputs(&model.inputs);
        expander.region(&model.body);
        expander
    }

    /// Makes sources for inputs or targets.
    pub fn inputs(&mut self, ports: &[PortDef]) {
        for port in ports {
            let name = port.name.clone().unwrap_or_else(|| "x".into());
            let ty = self.float(self.model.values[port.value.0 as usize].ty);
            let source = self.builder.graph.borrow_mut().add_source(&INPUT, Source::Input(name), ty, 0);
            self.set(port.value, self.builder.var(source));
        }
    }

    /// Expands a loss, metric or derived target, and gives its result.
    pub fn tail(&mut self, tail: &Tail) -> Var<'a> {
        self.region(&tail.region);
        self.get(tail.result)
    }

    /// What a value has become.
    pub fn get(&self, value: ValueId) -> Var<'a> {
        self.values[value.0 as usize].expect("values come before their users")
    }

    fn set(&mut self, value: ValueId, var: Var<'a>) {
        self.values[value.0 as usize] = Some(var);
    }

    fn float(&self, ty: Type) -> Type {
        if ty.dtype.is_float() { Type { dtype: self.builder.float, ..ty } } else { ty }
    }

    fn region(&mut self, region: &Region) {
        for item in &region.items {
            match item {
                Item::Op(item) => self.op(item),
                Item::Repeat(item) => self.repeat(item),
                Item::Scope(item) => self.region(&item.region),
            }
        }
    }

    fn repeat(&mut self, item: &RepeatItem) {
        let mut carried: Vec<Var<'a>> = item.ins.iter().map(|&value| self.get(value)).collect();
        for run in &item.runs {
            for copy in 0..run.count {
                self.copies.insert(item.id, run.first + copy);
                for (&param, &var) in run.params.iter().zip(&carried) {
                    self.set(param, var);
                }
                self.region(&run.region);
                carried = run.results.iter().map(|&value| self.get(value)).collect();
            }
        }
        self.copies.shift_remove(&item.id);
        for (&out, var) in item.outs.iter().zip(carried) {
            self.set(out, var);
        }
    }

    /// A path with the copies' numbers.
    fn resolve(&self, path: &Path) -> String {
        let parts = path.iter().map(|part| match part {
            Part::Name(name) => name.clone(),
            Part::Copy(id) => self.copies.get(id).map_or_else(|| "*".into(), u64::to_string),
        });
        parts.collect::<Vec<_>>().join(".")
    }

    fn op(&mut self, item: &OpItem) {
        let ins: Vec<Option<Var<'a>>> =
            item.operands.iter().map(|operand| operand.map(|value| self.get(value))).collect();
        let types: Vec<Option<Type>> =
            item.operands.iter().map(|operand| operand.map(|value| self.model.values[value.0 as usize].ty)).collect();
        self.builder.at(&self.resolve(&item.application), item.span);
        let mut ports = self.own_params(item, &types);
        ports.extend(self.borrowed_params(&item.attrs));
        self.builder.with_params(ports);
        let outs = self.builder.apply(item.op, item.attrs.clone(), &ins);
        self.builder.with_params(vec![]);
        for (&value, var) in item.outs.iter().zip(outs) {
            self.set(value, var);
        }
    }

    fn own_params(&mut self, item: &OpItem, ins: &[Option<Type>]) -> Vec<(String, u32, Port)> {
        let defs = {
            let shapes = &mut self.builder.graph.borrow_mut().shapes;
            (item.op.params)(&mut ParamCx { shapes, attrs: &item.attrs, ins, gain: item.gain })
        };
        if defs.is_empty() {
            return vec![];
        }
        let path = self.resolve(&item.path);
        defs.into_iter().map(|def| self.param(&path, def)).collect()
    }

    /// The table of a tied output: `table.weight` of the layer that an attribute names.
    fn borrowed_params(&mut self, attrs: &Attrs) -> Vec<(String, u32, Port)> {
        let Some(layer) =
            attrs.values().iter().find_map(|value| if let Attr::Layer(layer) = value { Some(layer) } else { None })
        else {
            return vec![];
        };
        let layer = &self.model.layers[layer.index as usize];
        let (Some(op), Some(own)) = (layer.op, layer.attrs.as_ref()) else { return vec![] };
        let defs = {
            let shapes = &mut self.builder.graph.borrow_mut().shapes;
            (op.params)(&mut ParamCx { shapes, attrs: own, ins: &layer.ins, gain: None })
        };
        let path = self.resolve(&layer.path);
        let rename = |(name, index, port): (String, u32, Port)| (format!("table.{name}"), index, port);
        defs.into_iter().map(|def| rename(self.param(&path, def))).collect()
    }

    /// Finds or makes a parameter.
    fn param(&mut self, path: &str, def: ParamDef) -> (String, u32, Port) {
        let full = match (path, def.name.as_str()) {
            (path, "") => path.to_string(),
            ("", name) => name.to_string(),
            (path, name) => format!("{path}.{name}"),
        };
        if let Some(&index) = self.params.get(&full) {
            let graph = self.builder.graph.borrow();
            let param = &graph.params[index as usize];
            return (def.name, index, param.next.unwrap_or(param.port));
        }
        let mut graph = self.builder.graph.borrow_mut();
        let index = graph.params.len() as u32;
        let dtype = if def.dtype.is_float() { self.builder.float } else { def.dtype };
        let ty = graph.shapes.ty(dtype, &def.dims);
        let sizes = def.dims.iter().map(|&dim| graph.shapes.dims.as_const(dim).unwrap_or(1).max(0) as usize);
        let shape = sizes.collect();
        let port = graph.add_source(&INPUT, Source::Param(index), ty, 0);
        graph.params.push(Param { path: full.clone(), shape, ty, init: def.init, role: def.role, port, next: None });
        self.params.insert(full, index);
        (def.name, index, port)
    }

    /// The indices of the learned parameters that no frozen pattern matches.
    pub fn learned(&self, frozen: &[String]) -> Vec<u32> {
        let graph = self.builder.graph.borrow();
        let indices = graph.params.iter().enumerate();
        let learned = indices.filter(|(_, param)| {
            param.role != Role::State && !frozen.iter().any(|pattern| matches(pattern, &param.path))
        });
        learned.map(|(index, _)| index as u32).collect()
    }
}
