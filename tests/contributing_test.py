"""The walk of CONTRIBUTING.md through a new operation works as it is printed.

    contributing_test.py BUILD_FOLDER

Lays the page's blocks into copies of the files that they name, compiles what they change as the build compiles it, links
that against the build's own libraries, and runs the operation's cases and nn's function of it. Left out one at a time,
the parts that the linker is said to ask for are asked for.

Rows go to the end of ops.def, so the libraries, which know the table without them, find theirs where they were.
"""

import json
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
SKIP = 77
BLOCK = re.compile(r'^( *)```cpp\n\1// ([\w./-]+)(?:, namespace (\w+))?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
END_OF_NAMESPACE = r'^}}  // namespace {}'
# Compiled anew: what the page adds to, and what holds a table of operations or a loop over them.
SOURCES = ('kernels/elementwise.cc', 'kernels/cpu.cc', 'kernels/ref/table.cc', 'tests/kernels/elementwise_cases.cc',
           'tests/kernels/operations_test.cc')
# What the GPU's kernels add to that, for the executor on the CPU; where Boost.Context is missing it is not built.
EXECUTOR_SOURCES = {'cuda/elementwise.cu': 'simt_elementwise.cc', 'cuda/table.cu': 'simt_table.cc',
                    'cuda/host/simt_device.cc': None, 'cuda/open_device.cc': None,
                    'tests/cuda/operations_test.cc': None}
NUMBERS = '''
#include <cmath>
#include <cstdio>

#include "nn/ops/elementwise.h"

using namespace maskwatch;

// hardswish as its authors define it.
double expected(double x) { return x * std::fmin(std::fmax(x + 3, 0), 6) / 6; }

int main() {
  nn::Tensor x = nn::Tensor::from({2, 4}, {-4, -2.5f, -1, -.25f, 0, .5f, 2.75f, 5});
  x.set_requires_grad(true);
  const nn::Tensor y = nn::hardswish(x);
  y.backward(nn::Tensor::full(y.shape(), 1));
  int wrong = 0;
  for (std::int64_t i = 0; i < x.count(); ++i) {
    const double at = x.data()[i], step = 1e-4;
    const double slope = (expected(at + step) - expected(at - step)) / (2 * step);
    const double value = y.data()[i], gradient = x.grad().data()[i];
    std::printf("hardswish(%g) = %g, derivative %g\\n", at, value, gradient);
    wrong += !(std::fabs(value - expected(at)) < 1e-5 && std::fabs(gradient - slope) < 1e-3);
  }
  return wrong;
}
'''


def blocks(page):
    """(file, namespace, code) of each block, without the page's indentation."""
    found = []
    for indent, path, namespace, code in BLOCK.findall(page):
        lines = [line[len(indent):] if line.startswith(indent) else line for line in code.splitlines(keepends=True)]
        found.append((path, namespace or 'maskwatch', ''.join(lines)))
    return found


def with_block(text, namespace, code):
    """The file with the code before the end of the namespace, or at its own end if it has none."""
    ends = list(re.finditer(END_OF_NAMESPACE.format(namespace), text, re.MULTILINE))
    at = ends[-1].start() if ends else len(text)
    return text[:at] + code + '\n' + text[at:]


class Copy:
    """Changed files, which come before those of the tree when something is included, and what is made of them."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.made = os.path.join(self.build, 'tests', 'contributing')
        self.folder = os.path.join(self.made, 'tree')
        with open(os.path.join(self.build, 'compile_commands.json')) as file:
            self.commands = {os.path.relpath(os.path.join(entry['directory'], entry['file']), ROOT):
                             shlex.split(entry['command']) for entry in json.load(file)}

    def write(self, path, text):
        target = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'w') as file:
            file.write(text)

    def command(self, like):
        """The compiler and the options with which the build compiles a source, less its output."""
        words = self.commands[like]
        kept, skip = [], False
        for word in words:
            if skip or word in ('-MD', '-c') or word.endswith(os.path.basename(like)):
                skip = False
            elif word in ('-o', '-MQ', '-MF'):
                skip = True
            else:
                # The GPU's own objects know the table without the operation.
                kept.append({'-O2': '-O1', '-O3': '-O1', '-DMASKWATCH_CUDA=1': '-DMASKWATCH_CUDA=0'}.get(word, word))
        compiler = 1 + max(i for i, word in enumerate(kept) if not word.startswith('-') and i < 2)
        return kept[:compiler] + ['-I' + self.folder] + kept[compiler:]

    def compile(self, path, like=None):
        source = os.path.join(self.folder, path)
        if not os.path.exists(source):
            source = os.path.join(ROOT, path)
        made = os.path.join(self.made, path + '.o')
        os.makedirs(os.path.dirname(made), exist_ok=True)
        language = ['-x', 'c++'] if path.endswith('.cu') else []
        subprocess.run(self.command(like or path) + ['-o', made, *language, '-c', source], cwd=self.build, check=True)
        return made

    def link(self, name, objects, libraries, more=()):
        """What the linker says; empty if it made the program."""
        words = self.command('kernels/cpu.cc')
        flags = [word for word in words if not word.startswith(('-I', '-D', '-W', '-O'))]
        archives = [os.path.join(self.build, library) for library in libraries]
        done = subprocess.run(flags + ['-o', os.path.join(self.made, name)] + objects +
                              ['-Wl,--start-group'] + archives +
                              ['-Wl,--end-group', '-lhwy', '-lfmt', *more, '-pthread'],
                              cwd=self.build, stderr=subprocess.PIPE, text=True)
        return done.stderr if done.returncode else ''

    def run(self, name, *arguments):
        subprocess.run([os.path.join(self.made, name), *arguments], cwd=ROOT, check=True)


def run_on_executor(copy, made, main_object, tests):
    if not os.path.exists(os.path.join(copy.build, 'cuda/libsimt.a')):
        print('SKIPPED, NOT TESTED: the step for GPUs: libboost-context-dev is missing, or nothing has built cuda/libsimt.a')
        return
    for path, unit in EXECUTOR_SOURCES.items():
        like = unit and os.path.relpath(os.path.join(copy.build, 'cuda', unit), ROOT)
        made[path] = copy.compile(path, like)
    objects = [made[path] for path in made if path != 'tests/kernels/operations_test.cc'] + main_object
    libraries, boost = ['cuda/libsimt.a', *tests], ['-lboost_context']
    said = copy.link('incomplete', [item for item in objects if item != made['cuda/elementwise.cu']], libraries, boost)
    assert 'simt::hardswish' in said, 'cuda/elementwise.cu left out, and the linker says %r' % said
    said = copy.link('on_executor', objects, libraries, boost)
    assert not said, said
    copy.run('on_executor', '--test-case=hardswish*')


def main(build):
    copy = Copy(build)
    if any(word.startswith('-fsanitize') for word in copy.commands['kernels/cpu.cc']):
        print('SKIPPED, NOT TESTED: instrumented kernels take the compiler minutes')
        return SKIP
    with open(os.path.join(ROOT, 'CONTRIBUTING.md')) as file:
        found = blocks(file.read())
    assert len(found) == 8, 'CONTRIBUTING.md: %d blocks that name a file, not one for each step' % len(found)
    for path, namespace, code in found:
        with open(os.path.join(ROOT, path)) as file:
            copy.write(path, with_block(file.read(), namespace, code))

    made = {path: copy.compile(path) for path in SOURCES}
    libraries = ['kernels/libkernels.a', 'kernels/libreference.a', 'base/libbase.a']
    tests = ['tests/libkernel_cases.a', *libraries]
    main_object = ['-Wl,--whole-archive', os.path.join(copy.build, 'tests/libtest_main.a'), '-Wl,--no-whole-archive']

    # Without a part of the walk the linker must ask for it.
    for left_out, asked in (('kernels/elementwise.cc', 'hardswish'),
                            ('tests/kernels/elementwise_cases.cc', 'cases_hardswish')):
        others = [made[path] for path in SOURCES if path != left_out]
        said = copy.link('incomplete', others + main_object, tests)
        assert asked in said, '%s left out, and the linker says %r' % (left_out, said)

    said = copy.link('cases', list(made.values()) + main_object, tests)
    assert not said, said
    copy.run('cases', '--test-case=hardswish*')

    run_on_executor(copy, made, main_object, tests)

    copy.write('numbers.cc', NUMBERS)
    kernels = [made[path] for path in SOURCES if path.startswith('kernels/')]
    said = copy.link('numbers', kernels + [copy.compile('numbers.cc', like='nn/tensor.cc')], ['nn/libnn.a', *libraries])
    assert not said, said
    copy.run('numbers')
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
