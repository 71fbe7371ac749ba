"""The page without a network, in Chromium: it works once it was loaded, nothing leaves the device, a new version replaces the
old one, and what is missing on the server is said.
Usage: offline_test.py BUILD_FOLDER [TEST ...]"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import browser as web

sys.path.insert(0, os.path.join(web.ROOT, "web"))
import assemble  # noqa: E402

MOST_BYTES = 5_000_000


class Offline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.open = web.chromium()
        cls.browser = cls.open.__enter__()
        cls.picture = web.pictures(4)[0]

    @classmethod
    def tearDownClass(cls):
        cls.open.__exit__(None, None, None)

    def site(self):
        """A copy that may be changed."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        site = os.path.join(folder, "site")
        shutil.copytree(web.SITE, site)
        return site

    def serve(self, site=web.SITE, **options):
        server = web.QuietServer(site, **options)
        self.addCleanup(server.close)
        return server

    def page(self, url, **options):
        page = web.Page(self.browser, url, **options)
        self.addCleanup(page.close)
        return page

    def wait_for_offline(self, page):
        page.until("document.querySelector('#offline').textContent === 'Works offline'")

    def test_works_without_server(self):
        for plain in (False, True):
            with self.subTest(plain=plain):
                server = web.QuietServer(plain=plain)
                page = self.page(server.url).ready()
                self.wait_for_offline(page)
                page.open(self.picture)
                before = page.report()
                server.close()
                page.page.reload()
                page.ready()
                page.open(self.picture)
                self.assertEqual(page.report(), before)
                # Kept pages are isolated, whatever their host sends.
                self.assertTrue(page.page.evaluate("crossOriginIsolated"))
                self.assertEqual([f for f in page.faults if "ERR_CONNECTION_REFUSED" not in f], [])

    def test_nothing_leaves(self):
        server = self.serve()
        page = self.page(server.url).ready()
        self.wait_for_offline(page)
        loaded = len(page.requests)
        page.open(self.picture)
        with page.page.expect_download():
            page.page.click("#save")
        self.assertEqual([url for url in page.requests[loaded:] if not url.startswith("blob:")], [])
        self.assertEqual([url for url in page.requests if not url.startswith((server.url, "blob:"))], [])
        # The policy would not let it: neither the page nor its worker.
        for where in ("page", "worker"):
            fetch = "fetch('http://127.0.0.1:9/').then(() => 'sent', fault => fault.name)"
            target = page.page if where == "page" else page.page.workers[0]
            policy = target.evaluate(f"() => new Promise(done => {{ addEventListener('securitypolicyviolation', e => done(e.effectiveDirective)); {fetch}; setTimeout(() => done('none'), 5000); }})")
            self.assertEqual(policy, "connect-src", where)

    def test_new_version(self):
        site = self.site()
        server = self.serve(site)
        page = self.page(server.url).ready()
        self.wait_for_offline(page)
        index = os.path.join(site, "index.html")
        with open(index) as file:
            text = file.read()
        with open(index, "w") as file:
            file.write(text.replace("<title>Maskwatch</title>", "<title>Maskwatch, newer</title>"))
        names = [os.path.relpath(os.path.join(folder, name), site) for folder, _, files in os.walk(site) for name in files if name != "version.js"]
        assemble.write_version(site, sorted(names))
        page.page.reload()
        page.ready()
        self.assertEqual(page.page.title(), "Maskwatch")
        page.page.wait_for_selector("#update:visible", timeout=60000)
        page.page.click("#update")
        page.until("document.title === 'Maskwatch, newer'")
        page.ready()
        self.assertEqual(page.page.evaluate("caches.keys().then(keys => keys.length)"), 1)

    def test_missing_parts(self):
        for name, part in (("models/mask_detector_small.safetensors", "mask_detector_small.safetensors"), ("worker.js", "engine"), ("maskwatch_threads.wasm", "")):
            with self.subTest(missing=name):
                site = self.site()
                os.remove(os.path.join(site, name))
                page = self.page(self.serve(site).url, service_workers="block")
                self.assertRegex(page.fault(), f"^The engine could not be started: .*{part}")

    def test_broken_model(self):
        site = self.site()
        path = os.path.join(site, "models", "face_detector.safetensors")
        os.truncate(path, 1000)
        page = self.page(self.serve(site).url, service_workers="block")
        self.assertRegex(page.fault(), "^The engine could not be started: .*face detector")

    def test_can_be_installed(self):
        page = self.page(self.serve().url).ready()
        session = page.context.new_cdp_session(page.page)
        self.assertEqual(session.send("Page.getAppManifest")["errors"], [])
        errors = [e["errorId"] for e in session.send("Page.getInstallabilityErrors")["installabilityErrors"]]
        self.assertEqual([e for e in errors if e != "in-incognito"], [])  # a test's profile counts as one

    def test_size(self):
        size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, files in os.walk(web.SITE) for name in files)
        print(f"the page: {size / 1e6:.2f} MB")
        self.assertLess(size, MOST_BYTES)


class Server(unittest.TestCase):
    """web/serve.py as a user runs it."""

    def run_server(self, *arguments):
        return subprocess.run([sys.executable, os.path.join(web.ROOT, "web", "serve.py"), *arguments], capture_output=True, text=True, timeout=60, check=False)

    def test_faults(self):
        with tempfile.TemporaryDirectory() as empty:
            done = self.run_server(empty)
            self.assertEqual((done.returncode, done.stderr), (2, f"error: {empty} holds no page: make web builds it\n"))
        server = web.QuietServer()
        self.addCleanup(server.close)
        done = self.run_server(web.SITE, "--port", str(server.port))
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, f"^error: port {server.port}: .*in use")
        self.assertEqual(self.run_server(web.SITE, "--port", "70000").returncode, 2)

    def test_help(self):
        self.assertIn("--port", self.run_server("--help").stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
