package franking

import "waxwing/core/group"

// Published returns nil if a secret that was published is the one of the
// provider's token key of its epoch, else FaultEpoch.
func (k *EpochKeys) Published(s *EpochSecret) error {
	key, ok := k.Of(s.epoch)
	if !ok || s.kind != SignSecret || s.SigningKey().Public() != key {
		return FaultEpoch
	}
	return nil
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
