// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// needNginx returns where nginx is, and skips the test where it is not; in CI, which
// installs it on Linux, that is a failure.
func needNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" && runtime.GOOS == "linux" {
		t.Fatal("nginx is not installed, and CI must run this")
	}
	t.Skip("needs nginx, which is not installed: on Debian, apt-get install nginx-light")
	return ""
}

// nginxConfig is a configuration that leaves nothing outside a directory.
const nginxConfig = `
daemon off;
%[1]s
worker_processes 1;
pid %[2]s/pid;
error_log %[2]s/error.log;
events { worker_connections 256; }
http {
	access_log off;
	default_type text/plain;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	gzip_proxied any;
	gzip_types text/plain text/event-stream application/problem+json;
%[4]s
	server {
		listen 127.0.0.1:%[3]d;
%[5]s
	}
}
`

// startNginx starts nginx with what stands beside its server and in it, and returns its
// URL. It stops with the test.
func startNginx(t *testing.T, beside, locations string) string {
	t.Helper()
	nginx := needNginx(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	as := "" // only root can be somebody else
	if os.Geteuid() == 0 {
		as = "user " + me.Username + ";"
	}
	for range 5 { // somebody else may take the port in between
		dir := t.TempDir()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		conf := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf(nginxConfig, as, dir, l.Addr().(*net.TCPAddr).Port, beside, locations) //nolint:forcetypeassert // of a TCP listener
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l.Close()
		if runNginx(t, nginx, dir, conf, addr) {
			return "http://" + addr
		}
	}
	t.Fatal("nginx did not start")
	return ""
}

// runNginx runs nginx, and tells whether it came to serve.
func runNginx(t *testing.T, nginx, dir, conf, addr string) bool {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case err := <-ended:
			t.Logf("nginx ended: %v: %s", err, &said)
			return false
		case <-deadline:
			cmd.Process.Kill() //nolint:errcheck // it may have ended
			t.Fatal("nginx does not serve")
		case <-tick.C:
		}
		if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr); err == nil {
			c.Close()
			tick.Stop()
			break
		}
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		select {
		case <-ended:
		case <-time.After(patience):
			cmd.Process.Kill() //nolint:errcheck // the test fails anyway
			t.Error("nginx did not stop")
		}
		if log, err := os.ReadFile(filepath.Join(dir, "error.log")); t.Failed() && err == nil {
			t.Logf("nginx: %s", log)
		}
	})
	return true
}
