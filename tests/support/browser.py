"""A headless Chromium, driven over WebDriver by ChromeDriver; no packages beyond Python's own."""

import base64
import json
import os
import re
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from patience import patience

START_SECONDS = patience(30)
CALL_SECONDS = patience(90)

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
]


class Browser:
    """One browser with one page. Use with `with`: leaving it ends the browser, whatever happened.
    """

    def __init__(self, folder):
        self._folder = tempfile.mkdtemp(dir=folder)
        # Started here and not by ChromeDriver, which would look for it at "localhost": a name that
        # a bare machine may not know.
        self._chromium, devtools = self._start([
            "chromium", *ARGUMENTS, "--remote-debugging-port=0", "--user-data-dir=" + self._folder,
            "about:blank"
        ], r"DevTools listening on ws://127\.0\.0\.1:(\d+)/")
        self._driver, port = self._start(["chromedriver", "--port=0"],
                                         r"started successfully on port (\d+)")
        self._base = "http://127.0.0.1:%s/session" % port
        session = self._call("POST", "", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"debuggerAddress": "127.0.0.1:" + devtools},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 1000 * START_SECONDS, "pageLoad": 1000 * START_SECONDS},
        }}})
        self._base += "/" + session["sessionId"]

    def _start(self, command, port_pattern):
        """The process, and the port that it says it listens on."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace",
                                   env=dict(os.environ, HOME=self._folder))
        for line in process.stdout:  # ends with the process
            port = re.search(port_pattern, line)
            if port:
                # What it says from now on is nobody's, but must not fill the pipe.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return process, port.group(1)
        raise RuntimeError("%s did not start" % command[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", "")
        finally:
            for process in (self._driver, self._chromium):
                process.terminate()
                process.wait()

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        # A proxy that the machine is set to has nothing to do with a local driver.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=CALL_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError("%s %s: %s" % (method, path, error.read().decode())) from error

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of `script`, the body of a function; a promise is waited for."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width, height):
        """The page's size as its style sheets see it, smaller than any window can be."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme):
        """"light" or "dark"."""
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])

    def console(self):
        """What the console has said since the last call, as texts with their levels."""
        return [
            "%s: %s" % (entry["level"], entry["message"])
            for entry in self._call("POST", "/se/log", {"type": "browser"})
        ]

    def screenshot(self, path):
        """The whole page, however long."""
        picture = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))
