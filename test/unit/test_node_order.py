# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from trt_perception.model.node_order import sort_nodes


def graph_of(nodes):
    return helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info('t9', TensorProto.FLOAT, [1])])


def net():
    """Ten nodes; each reads the last one and one before it."""
    names = ['x', *(f't{i}' for i in range(10))]
    return [
        helper.make_node('Add', [names[i], names[max(0, i - 2)]], [names[i + 1]], name=f'n{i}') for i in range(10)]


def is_sorted(graph):
    known = {'x'}
    for node in graph.node:
        if not set(node.input) <= known:
            return False
        known.update(node.output)
    return True


@settings(deadline=None)
@given(st.permutations(range(10)))
def test_any_order_is_sorted(order):
    nodes = net()
    graph = graph_of([nodes[i] for i in order])
    assert sort_nodes(graph) == []
    assert is_sorted(graph)
    assert sorted(node.name for node in graph.node) == sorted(node.name for node in nodes)
    onnx.checker.check_graph(graph)


def test_a_sorted_graph_is_not_changed():
    graph = graph_of([net()[0], helper.make_node('Neg', ['x'], ['other']), *net()[1:]])
    before = graph.SerializeToString()
    assert sort_nodes(graph) == []
    assert graph.SerializeToString() == before


def test_a_circle_is_named_and_nothing_is_changed():
    nodes = net()
    nodes[3].input[1] = 't5'
    graph = graph_of(nodes[::-1])
    before = graph.SerializeToString()
    # n3, n4 and n5 are the circle; the others come after it.
    assert sorted(sort_nodes(graph)) == [f'n{i}' for i in range(3, 10)]
    assert graph.SerializeToString() == before


@pytest.mark.parametrize('kind', ['If', 'Loop'])
def test_graphs_inside_nodes(kind):
    """A body reads a tensor of the outer graph, and its own nodes are in the wrong order."""
    inner = helper.make_graph(
        [helper.make_node('Neg', ['i'], ['o']), helper.make_node('Add', ['t1', 't1'], ['i'])], 'body', [],
        [helper.make_tensor_value_info('o', TensorProto.FLOAT, [1])])
    bodies = {'body': inner} if kind == 'Loop' else {'then_branch': inner, 'else_branch': inner}
    outer = helper.make_node(kind, ['x'], ['t9'], **bodies)
    graph = graph_of([outer, *net()[1::-1]])
    assert sort_nodes(graph) == []
    assert [node.op_type for node in graph.node] == ['Add', 'Add', kind]
    for attribute in graph.node[2].attribute:
        assert [node.op_type for node in attribute.g.node] == ['Add', 'Neg']


def test_an_output_of_a_body_may_be_a_tensor_outside_it():
    inner = helper.make_graph([], 'body', [], [helper.make_tensor_value_info('t1', TensorProto.FLOAT, [1])])
    graph = graph_of([helper.make_node('If', ['x'], ['t9'], then_branch=inner, else_branch=inner), *net()[:2]])
    assert sort_nodes(graph) == []
    assert [node.op_type for node in graph.node] == ['Add', 'Add', 'If']
