package franking

import "waxwing/core/group"

// Published returns nil if a secret that was published is that of one of
// the provider's token keys of its epoch, else FaultEpoch.
func (k *EpochKeys) Published(s *EpochSecret) error {
	if s.kind != SignSecret {
		return FaultEpoch
	}
	public := s.SigningKey().Public()
	for _, e := range keysOf(k.Epochs, s.epoch) {
		if e.Key == public {
			return nil
		}
	}
	return FaultEpoch
}

// Published returns nil if a secret that was published is the j of its epoch,
// else FaultEpoch.
func (s *Snapshot) Published(j *EpochSecret) error {
	e, ok := s.join(j.epoch)
	if !ok || j.kind != JoinSecret || !e.Equal(group.Ristretto255().MulGenerator(j.Scalar())) {
		return FaultEpoch
	}
	return nil
}
