//go:build !unix

package bench

import (
	"errors"
	"time"
)

// processorTime is not measured where there is no getrusage.
func processorTime() (time.Duration, error) {
	return 0, errors.New("processor time is measured on Unix systems only")
}
