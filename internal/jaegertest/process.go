// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package jaegertest

import (
	"context"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A process is Jaeger, from its start to its end.
type process struct {
	log   log
	stop  context.CancelFunc
	ended chan struct{} // closed at its end
	err   error         // why it ended: context.Canceled if it was told to, and did
}

// launch starts Jaeger. It is told to end with stop, or with ctx, and killed when it has not
// within a time.
func launch(ctx context.Context, within time.Duration, path string, args ...string) *process {
	ctx, stop := context.WithCancel(ctx)
	p := &process{stop: stop, ended: make(chan struct{}), log: log{ready: make(chan addresses, 1)}}
	go p.run(ctx, within, path, args)
	return p
}

func (p *process) run(ctx context.Context, within time.Duration, path string, args []string) {
	defer close(p.ended)
	// The kernel kills it with the thread that started it, which has to last as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // it is what make has built
	cmd.Env = []string{}                           // nothing that is set for the test is meant for it
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = within
	endWithUs(cmd)
	p.err = cmd.Run()
	// It is told before it listens to signals if it has only just said that it is ready.
	if ctx.Err() != nil && cmd.ProcessState.String() == "signal: terminated" {
		p.err = context.Canceled
	}
}
