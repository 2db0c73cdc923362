// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"os"
	"os/exec"
	"testing"
)

// processVar names, in the environment, how a process begins.
const processVar = "GRPCECT_TEST_PROCESS"

// processes are ways for a process to begin: what grpc-go keeps for all of a process can be
// set only before anything else runs.
var processes = map[string]func(){
	"proto of the first interface": registerProtoV1,
}

func init() {
	if begin, ok := processes[os.Getenv(processVar)]; ok {
		begin()
	}
}

// inProcess tells whether the test is in a process that began in some way. If it is not, it
// runs the test again, in one.
func inProcess(t *testing.T, process string) bool {
	t.Helper()
	if os.Getenv(processVar) == process {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.timeout=2m", "-test.v")
	cmd.Env = append(os.Environ(), processVar+"="+process)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}
