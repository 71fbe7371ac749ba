"""Every file of the tree that a page, a comment or a script names is there.

Looked at are *.md and the comments of sources, scripts and build files. A name counts as one of the tree's if it is a path
whose first folder is one of the root's, or a bare name of a C++ source. Paths that .gitignore lists (what is fetched or
built) need not be there.
"""

import fnmatch
import os
import re
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
EXTENSIONS = 'cc|h|def|in|c|cu|py|sh|md|build|txt|xml|json|jpg|png|supp|safetensors|html|js'
PATH = re.compile(r'(?<![\w./<>$~*{}-])((?:[\w.-]+/)+[\w.-]+\.(?:%s))(?![\w*/])' % EXTENSIONS)
SOURCE = re.compile(r'(?<![\w./<>$~*{}-])([a-z][a-z0-9_]+(?:-inl)?\.(?:cc|h|def))(?![\w*/])')
FENCED = re.compile(r'^ *```.*?^ *```', re.MULTILINE | re.DOTALL)  # code of a reader's own
LINK = re.compile(r'\]\(([^)#:\s]+)\)')
# Headers of libraries and files of other projects that are named without a folder.
FOREIGN = {'doctest.h', 'stb_image.h', 'stb_image_write.h', 'stb_truetype.h'}


def tree():
    """The paths of all files but those of build folders and of git."""
    found = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ('.git', '__pycache__', 'node_modules') and
                      not (folder == ROOT and name.startswith('build')) and
                      not os.path.isdir(os.path.join(folder, name, 'meson-private'))]
        found.update(os.path.relpath(os.path.join(folder, name), ROOT) for name in files)
    return found


def ignored():
    with open(os.path.join(ROOT, '.gitignore')) as file:
        return [line.strip().strip('/') for line in file if line.strip() and not line.startswith('#')]


def words(path, content):
    """The part of a file that speaks to people."""
    if path.endswith('.md'):
        return content
    if path.endswith(('.cc', '.h', '.def', '.in', '.cu', '.c', '.js')):
        return '\n'.join(re.findall(r'//.*', content))
    found = re.findall(r'(?:^|\s)#\s.*', content)
    if path.endswith('.py'):
        found += re.findall(r'""".*?"""', content, re.DOTALL)
    return '\n'.join(found)


def missing(path, content, files):
    roots = {name.split('/')[0] for name in files if '/' in name}
    names = {name.rsplit('/', 1)[-1] for name in files}
    beside = os.path.dirname(path)
    text = words(path, content)
    for name in PATH.findall(text):
        if name.split('/')[0] in roots and name not in files:
            yield name
    for name in SOURCE.findall(FENCED.sub('', text)):
        if name not in names | FOREIGN:
            yield name
    if path.endswith('.md'):
        for link in LINK.findall(text):
            name = os.path.normpath(os.path.join(beside, link))
            if name not in files and not os.path.isdir(os.path.join(ROOT, name)):
                yield link


def main():
    files = tree()
    patterns = ignored()
    kept = ('.md', '.cc', '.h', '.def', '.in', '.cu', '.c', '.js', '.py', '.sh', '.build')
    faults = looked_at = 0
    for path in sorted(files):
        if not path.endswith(kept) and os.path.basename(path) not in ('Makefile', 'run'):
            continue
        looked_at += 1
        with open(os.path.join(ROOT, path)) as file:
            content = file.read()
        for name in sorted(set(missing(path, content, files))):
            if any(fnmatch.fnmatch(name, pattern) or name.startswith(pattern + '/') for pattern in patterns):
                continue
            print('%s names %s, which is not there' % (path, name))
            faults += 1
    print('%d files looked at, %d names of files that are not there' % (looked_at, faults))
    # The test itself: a page with a wrong name must be found out.
    wrong = 'See kernels/lost.h, `gone.cc` and [this](docs/nothing.md), not kernels/table.h or tests/paths_test.py.'
    assert set(missing('README.md', wrong, files)) == {'kernels/lost.h', 'gone.cc', 'docs/nothing.md'}, 'blind'
    return faults > 0


if __name__ == '__main__':
    sys.exit(main())
